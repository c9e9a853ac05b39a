# SPDX-License-Identifier: BSD-3-Clause
"""What was measured: raw samples, and the lines of the table that are made of them."""

import json
import os
import platform
import statistics

UNITS = {"ns": "{:.2f}", "µs": "{:.2f}", "MiB/s": "{:.0f}", "1/s": "{:.0f}", "ms": "{:.1f}",
         "MiB": "{:.1f}", "fences": "{:.2f}", "bytes": "{:.0f}", "syncs": "{:.2f}"}


class Results:
    def __init__(self):
        self.samples = []
        self.rows = []

    def add_samples(self, part, round_number, peer, lines, **more):
        """Keeps what the client printed; gives back the first measurement."""
        parsed = [json.loads(line) for line in lines]
        self.samples += [{"part": part, "round": round_number, "peer": peer, **more, **line}
                         for line in parsed]
        return parsed[0]

    def heading(self, text):
        self.rows.append(text)
        print(f"... {text}", flush=True)

    def add(self, line, unit, value, peer="", peer_value=None, ratio=None, target="", met=None):
        self.rows.append({"line": line, "unit": unit, "value": value, "peer": peer,
                          "peer_value": peer_value, "ratio": ratio, "target": target, "met": met})

    def compare(self, line, unit, values, peer, peer_values, bound=None):
        """Rounds against rounds: the ratio is the median of the ratios of each round, which what
        else the machine does disturbs least. bound: ("most"|"least", number), or none."""
        ratio = statistics.median(a / b for a, b in zip(values, peer_values))
        met, target = None, ""
        if bound:
            most = bound[0] == "most"
            met = ratio <= bound[1] if most else ratio >= bound[1]
            target = f"{'≤' if most else '≥'} {bound[1]:.2f}"
        self.add(line, unit, statistics.median(values), peer, statistics.median(peer_values), ratio,
                 target, met)

    def limit(self, line, unit, value, most, less=False):
        met = value < most if less else value <= most
        self.add(line, unit, value, target=f"{'<' if less else '≤'} {most:g} {unit}", met=met)

    # ---- printing ---------------------------------------------------------------------------

    @staticmethod
    def cells(row):
        form = UNITS[row["unit"]]
        peer = form.format(row["peer_value"]) if row["peer_value"] is not None else ""
        ratio = f"{row['ratio']:.2f}" if row["ratio"] is not None else ""
        met = {True: "yes", False: "NO", None: ""}[row["met"]]
        return [row["line"], f"{form.format(row['value'])} {row['unit']}",
                f"{row['peer']} {peer}".strip(), ratio, row["target"], met]

    def table(self):
        """Markdown, which is also what one can read in a terminal."""
        head = ["", "devdaxfs", "peer", "ratio", "target", "met"]
        cells = [[f"**{row}**", "", "", "", "", ""] if isinstance(row, str) else self.cells(row)
                 for row in self.rows]
        widths = [max(len(line[i]) for line in [head, *cells]) for i in range(len(head))]
        lines = [head, ["-" * width for width in widths], *cells]
        return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths))
                         + " |" for line in lines)

    def summary(self):
        met = [row["met"] for row in self.rows if not isinstance(row, str)
               and row["met"] is not None]
        return f"{met.count(True)} of {len(met)} targets met"

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"machine": machine(), "table": self.rows, "samples": self.samples}, file)


def machine():
    """One line about where this ran."""
    cpu = "unknown CPU"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    return f"{os.cpu_count()} × {cpu}, {memory} GiB, Linux {platform.release()}"
