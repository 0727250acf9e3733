"""The peer of ``bench/classify.py``: scikit-learn's logistic regression with its defaults, on the same vectors.

Run by a Python that has scikit-learn; vectors come as JSON on standard input, probabilities go to standard output.
"""

from __future__ import annotations

import json
import sys

from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingImports]


def main() -> None:
    told = [
        LogisticRegression(max_iter=5000).fit(case["train"], case["classes"]).predict_proba(case["test"]).tolist()
        for case in json.load(sys.stdin)
    ]
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
