"""Run a notebook's cells as Jupyter does, and print what each shows: `python -m ... NOTEBOOK`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output


def main(notebook: Path, state: Path) -> int:
    """A line per cell: its source, texts, and what it shows by MIME type. The first error ends."""
    shell = InteractiveShell.instance(ipython_dir=str(state))
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        source = "".join(cell["source"])
        with capture_output() as printed:
            done = shell.run_cell(source)
        if not done.success:
            sys.stderr.write(f"{source}\n{printed.stdout}{printed.stderr}\n")
            return 1
        shown = {} if done.result is None else shell.display_formatter.format(done.result)[0]
        texts = {"text": printed.stdout, "log": printed.stderr}
        line = {"source": source, **texts, "shown": shown}
        sys.stdout.write(json.dumps(line, default=lambda png: f"{len(png)} bytes") + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
