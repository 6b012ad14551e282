"""Damaged faxes by the hundred: every one gives whole pages or a reason, and no worker dies."""

import argparse
import asyncio
import time
from collections import Counter
from pathlib import Path

from fax.pdf import PdfMaker
from tests.support.fax_pixels import pages_of_pdf
from tests.support.tiffs import damaged_set, mutants, salvageable_set
from um.core.errors import RefusedDocumentError
from um.core.ports import NoMetrics


class Losses(NoMetrics):
    """Hears of workers that died."""

    count_lost = 0

    def count(self, name: str, amount: int = 1) -> None:
        self.count_lost += amount if name == "fax_pdf_workers_lost" else 0


async def feed(count: int, seed: int) -> tuple[Counter[str], float, int]:
    """Outcomes by kind, the longest seconds, the greatest resident memory of a worker in octets."""
    losses = Losses()
    maker = PdfMaker(workers=1, metrics=losses)
    await maker.start()
    documents = {
        **damaged_set(),
        **{name: each[0] for name, each in salvageable_set().items()},
        **dict(mutants(count, seed=seed)),
    }
    tally: Counter[str] = Counter()
    longest, peak = 0.0, 0
    for name, document in documents.items():
        begun = time.perf_counter()
        try:
            made = await maker.convert(document)
        except RefusedDocumentError as error:
            tally["refused with a reason" if error.public else "refused without a reason"] += 1
            made = None
        longest = max(longest, time.perf_counter() - begun)
        if made is not None:
            assert len(pages_of_pdf(made.pdf)) == made.pages, name
            assert len(made.notes) >= made.dropped, name
            tally["whole" if not made.notes else "delivered with a note"] += 1
        for worker in maker._idle:  # none after its two hundredth job: it retires
            lines = Path(f"/proc/{worker._process.pid}/status").read_text().splitlines()
            peak = max(peak, *(int(line.split()[1]) * 1024 for line in lines if "VmHWM" in line))
    assert losses.count_lost == 0
    await maker.close()
    return tally, longest, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    tally, longest, peak = asyncio.run(feed(given.mutants, given.seed))
    for outcome, count in sorted(tally.items()):
        print(f"{count:6d} {outcome}")
    print(f"longest {longest:.2f} s (limit 20), peak {peak / 2**20:.0f} MiB (limit 700)")


if __name__ == "__main__":
    main()
