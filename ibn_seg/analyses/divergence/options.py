"""The options that change the numbers of a divergence."""

from ibn_seg.analyses.option_kinds import Names, PictureSize, Whole

OPTIONS = (
    Names(
        name="pairs",
        flag="--pair",
        metavar="KIND[:NAMES]",
        help="appearance, content, null or domains:A,B; repeat for several. Default: the first "
        "three, on rendered scenes.",
        default=[],
        example="[appearance, content]",
        null="null",
    ),
    Whole(
        name="images",
        help="Pictures per side. Default: 200 rendered scenes, or all of a data set.",
        least=2,
    ),
    PictureSize(name="size", help="Size of the scenes.", default=[256, 128]),
    Whole(name="min_images", help="Refuse sides of fewer pictures.", default=200, least=2),
    Whole(name="scene_seed", help="Seed of the scenes.", default=1),
    Whole(name="seed", help="Seed of the random halves.", default=0),
)
