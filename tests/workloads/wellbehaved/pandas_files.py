"""A pandas job over many files: each is read once, its sums go into a file of their own."""

import numpy
import pandas

from wellbehaved import made_files

FILES = 6000
RESAMPLES = 300


def run(stage):
    folder = made_files.make(stage, "csv", FILES)
    results = stage.folder / "results"
    results.mkdir()
    random = numpy.random.default_rng(1)
    stage.begin()
    total = None
    for path in sorted(folder.iterdir()):
        table = pandas.read_csv(path)
        table["share"] = table["value"] / table["value"].sum()
        sums = table.groupby("kind").agg({"value": ["sum", "mean", "std"], "share": "max"})
        ranked = table.sort_values(["kind", "value"]).rolling(50, on="id")["value"].mean()
        sums["smooth"] = ranked.groupby(table["kind"]).max()
        sums.columns = ["sum", "mean", "std", "share", "smooth"]
        values = table["value"].to_numpy()
        resampled = [random.choice(values, values.size).mean() for _ in range(RESAMPLES)]
        sums["error"] = numpy.std(resampled)
        sums.to_csv(results / path.name)
        total = sums if total is None else total.add(sums)
        stage.work.did()
