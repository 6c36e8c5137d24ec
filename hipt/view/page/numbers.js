// Numbers as people read them, with their units.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const three = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const NONE = "–";

const known = (value) => value !== null && value !== undefined && Number.isFinite(Number(value));

export const count = (value) => (known(value) ? whole.format(value) : NONE);
export const number = (value) => (known(value) ? three.format(value) : NONE);
export const share = (value) => (known(value) ? value.toFixed(2) : NONE);

/** A number that may be very small: 0.12, 2.6e-5. */
export const small = (value) => (known(value) && value !== 0 && Math.abs(value) < 1e-4 ? value.toExponential(1) : number(value));

/** A length in µm, or in mm from 1 mm on. */
export const length = (um) => (um >= 1000 ? `${number(um / 1000)} mm` : `${number(um)} µm`);

/** A magnification, as on a microscope: 20×. */
export const times = (value) => `${number(value)}×`;

/** The largest of 1, 2, 5, 10, 20, ... that is not above `most`. */
export function roundBelow(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return power * [5, 2, 1].find((step) => step * power <= most * (1 + 1e-9));
}
