// Questions to the server. An answer that does not come is a Problem: one sentence.

export class Problem extends Error {}

const SILENT = "hipt view does not answer: is it still running in its terminal?";

/** The address of a question, its values percent-encoded. */
export const address = (path, query = {}) => {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
};

async function answered(path, query, signal) {
  let answer;
  try {
    answer = await fetch(address(path, query), { signal });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem(SILENT);
  }
  if (!answer.ok) throw new Problem(await sentence(answer));
  return answer;
}

async function sentence(answer) {
  try {
    return (await answer.json()).error || `hipt view answered ${answer.status}.`;
  } catch {
    return `hipt view answered ${answer.status}.`;
  }
}

export async function json(path, query = {}, signal = undefined) {
  const answer = await answered(path, query, signal);
  try {
    return await answer.json();
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem(SILENT);
  }
}

/** A picture as pixels to draw. */
export async function picture(path, query = {}, signal = undefined) {
  const answer = await answered(path, query, signal);
  return createImageBitmap(await answer.blob());
}

/** What is asked once and kept; a failure is forgotten, so that it is asked again. */
export function once(ask) {
  let kept = null;
  return () =>
    (kept ??= ask().catch((error) => {
      kept = null;
      throw error;
    }));
}
