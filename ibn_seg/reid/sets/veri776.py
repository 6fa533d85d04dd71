"""VeRi-776 (Liu et al., ICME 2016): vehicles."""

from ibn_seg.reid.sets.picture_set import Expected, NamedPictures, SetCard


class VeRi776(NamedPictures):
    """VeRi-776; its queries lie in the gallery, too, and are ignored there as own camera."""

    FOLDERS = {"train": "image_train", "query": "image_query", "gallery": "image_test"}
    INNER = ("VeRi", "VeRi-776", "veri")
    EXAMPLE = "0001_c001_00016450_0.jpg"
    # The paper's numbers; lists of the training part are said to hold fewer.
    CARD = SetCard(
        title="VeRi-776",
        expected={
            "train": Expected(37778, 576, sure=False),
            "query": Expected(1678, 200),
            "gallery": Expected(11579, 200),
        },
        cameras=20,
        layout="`image_train`, `image_query`, `image_test`: `0001_c001_00016450_0.jpg`",
        source="https://vehiclereid.github.io/VeRi/",
        terms="research only, on request",
        citation="Liu et al., Large-scale Vehicle Re-identification, ICME 2016",
    )
