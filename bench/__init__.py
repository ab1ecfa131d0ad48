"""Each figure that is claimed for deployd, measured beside its peers in one run (on one Postgres, if any).

`python -m bench` runs all, `python -m bench.NAME` one of them. The speed of a machine drifts, so rounds
of ours and theirs alternate, medians are taken, and only the ratios are worth quoting.
"""
