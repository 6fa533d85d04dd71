"""Any data set whose labels are Cityscapes trainIds."""

from mmseg.registry import DATASETS

from ibn_seg.datasets.card import DataCard
from ibn_seg.datasets.labels import TRAIN_IDS
from ibn_seg.datasets.paired_trees import PairedTreesDataset


@DATASETS.register_module()
class TrainIdDataset(PairedTreesDataset):
    """Images in one folder tree, 8-bit labels of trainIds (0..18, 255) in another.

    An image and its label have the same path below their folders, apart from the suffixes.

    Args:
        data_root: The folder that holds both.
        images: The images' folder.
        labels: The labels' folder.
        image_suffix: The ending of the images' names.
        label_suffix: The ending of the labels' names.
        **kwargs: Arguments of `UrbanSceneDataset`; `target` defaults to the root's name.

    Raises:
        UserError: As `UrbanSceneDataset`.

    Example:
        >>> dict(type='TrainIdDataset', data_root='data/my_city', images='images', labels='labels',
        ...      image_suffix='.jpg', label_suffix='_train_id.png')
    """

    TARGET = "train_ids"
    WHERE = "say where the files are by images=, labels=, image_suffix= and label_suffix="
    CARD = DataCard(
        title="any with trainIds",
        labels="0..18 and 255",
        quirks="folders and suffixes by arguments",
        classes="19",
        layouts="any",
    )
    table = TRAIN_IDS
