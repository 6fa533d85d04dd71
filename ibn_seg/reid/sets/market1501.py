"""Market-1501 (Zheng et al., ICCV 2015)."""

from ibn_seg.reid.sets.picture_set import Expected, NamedPictures, SetCard


class Market1501(NamedPictures):
    """Market-1501 as downloaded.

    22 names end in `.jpg.jpg`, six of them queries. Junk (-1) and distractors (0) are in the
    gallery. The project page says 2,793 distractors; the files hold 2,798.
    """

    FOLDERS = {
        "train": "bounding_box_train",
        "query": "query",
        "gallery": "bounding_box_test",
    }
    INNER = ("Market-1501-v15.09.15", "market1501", "market1501/Market-1501-v15.09.15")
    # Counts of the real lists in https://github.com/zhunzhong07/person-re-ranking.
    CARD = SetCard(
        title="Market-1501",
        expected={
            "train": Expected(12936, 751),
            "query": Expected(3368, 750),
            "gallery": Expected(19732, 750, junk=3819),
        },
        cameras=6,
        layout="`bounding_box_train`, `query`, `bounding_box_test`: `0002_c1s1_000451_03.jpg`",
        source="https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html",
        terms="research only; not to be passed on",
        citation="Zheng et al., Scalable Person Re-identification: A Benchmark, ICCV 2015",
        distractors=True,
    )
