"""What others make of the same texts: run by the Python of `.venv-bench`, with nothing of ours.

    python _dedupe_peers.py datasketch|rensa|datatrove TEXTS.parquet OUT.json

writes the seconds from reading the Parquet file to knowing which texts stay, and the numbers of those left out.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

RUNS = 3  # the best one counts; the first imports the library, too
THRESHOLD = 0.8
GRAM = 5


def shingles(text: str) -> list[bytes]:
    words = text.lower().split()
    return [" ".join(words[at : at + GRAM]).encode() for at in range(max(1, len(words) - GRAM + 1))]


def texts_of(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    texts: list[str] = pq.read_table(path, columns=["text"])["text"].to_pylist()
    return texts


def datasketch(path: Path) -> list[int]:
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=THRESHOLD, num_perm=128)
    left_out = []
    for number, sketch in enumerate(MinHash.generator((shingles(text) for text in texts_of(path)), num_perm=128)):
        if index.query(sketch):
            left_out.append(number)
        else:
            index.insert(number, sketch, check_duplication=False)
    return left_out


def rensa(path: Path) -> list[int]:
    from rensa import RMinHashDeduplicator

    index = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=128, use_lsh=True)
    kept = index.add_pairs((str(number), shingles(text)) for number, text in enumerate(texts_of(path)))
    return [number for number, stays in enumerate(kept) if not stays]


def datatrove(path: Path) -> list[int]:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import ParquetWriter
    from datatrove.utils.typeshelper import Languages

    workers, config = 2, MinhashConfig()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        (folder / "in").mkdir()
        for part in range(workers):
            size = -(-len(table) // workers)
            pq.write_table(table.slice(part * size, size), folder / "in" / f"{part}.parquet")

        def reader() -> ParquetReader:
            return ParquetReader(str(folder / "in"), doc_progress=False)

        stages: list[tuple[str, list[object], int]] = [
            ("1", [reader(), MinhashDedupSignature(str(folder / "sig"), config=config, language=Languages.english)], 2),
            (
                "2",
                [MinhashDedupBuckets(str(folder / "sig"), str(folder / "buckets"), config=config)],
                config.num_buckets,
            ),
            ("3", [MinhashDedupCluster(str(folder / "buckets"), str(folder / "remove"), config=config)], 1),
            ("4", [reader(), MinhashDedupFilter(str(folder / "remove")), ParquetWriter(str(folder / "out"))], 2),
        ]
        for name, pipeline, tasks in stages:
            LocalPipelineExecutor(pipeline, tasks=tasks, workers=workers, logging_dir=str(folder / "logs" / name)).run()
        kept = pq.read_table(folder / "out", columns=["id"])["id"].to_pylist()
    numbers = {name: number for number, name in enumerate(table["id"].to_pylist())}
    return sorted(set(numbers.values()) - {numbers[name] for name in kept})


PEERS: dict[str, Callable[[Path], list[int]]] = {"datasketch": datasketch, "rensa": rensa, "datatrove": datatrove}


def main() -> None:
    peer, path, out = PEERS[sys.argv[1]], Path(sys.argv[2]), Path(sys.argv[3])
    seconds = []
    for _ in range(1 if peer is datatrove else RUNS):
        start = time.perf_counter()
        left_out = peer(path)
        seconds.append(time.perf_counter() - start)
    out.write_text(json.dumps({"seconds": min(seconds), "left_out": left_out}))


if __name__ == "__main__":
    main()
