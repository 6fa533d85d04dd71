"""Instance selective whitening (RobustNet) at the places of IBN-b."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="ISW",
    summary="IN, and a loss on the covariances that change with the appearance of an image",
    paper="Choi et al., CVPR 2021, arXiv:2103.15597",
    ibn="isw",
    backbones="IBN",
    places=("norms",),
    # The published schedule: 4,644 of 40,000 iterations; here as a share of the run.
    hooks=(
        {"type": "MethodHook", "whitening": 0.6},
        {
            "type": "SensitiveCovarianceHook",
            "begin": 0.12,
            "images": 500,
            "trials": 10,
            "clusters": 3,
        },
    ),
)
