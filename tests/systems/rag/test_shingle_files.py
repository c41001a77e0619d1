"""What is read back from the files is what was made from the texts, row by row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.systems.rag.shingle_files import MappedShingles, write_shingles
from sixfold.systems.rag.shingles import shingles

TEXTS = st.lists(st.text(alphabet="ab cdé", max_size=60), min_size=1, max_size=8)


@given(st.lists(TEXTS, max_size=3))
@settings(max_examples=40, deadline=None)
def test_rows_keep_their_shingles(tmp_path_factory, batches):
    path = tmp_path_factory.mktemp("shingles") / "0.arrow"
    row, placed = 3, []
    for texts in batches:
        rows = np.arange(row, row + 2 * len(texts), 2)
        row += 2 * len(texts)
        placed.append((rows, texts))
    write_shingles(placed, path)
    with MappedShingles([path]) as found:
        for rows, texts in placed:
            for at, text in zip(rows.tolist(), texts, strict=True):
                assert np.array_equal(found[0, at], shingles(text))
        with pytest.raises(KeyError):
            found[0, 1]
