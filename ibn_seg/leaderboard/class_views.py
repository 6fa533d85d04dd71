"""Views of networks over one list of classes: scores over different classes are never mixed."""

import dataclasses
from collections.abc import Iterable, Sequence

from ibn_seg.datasets.class_map import ClassMap
from ibn_seg.datasets.known_classes import SPACES
from ibn_seg.evaluation.confusion import scores
from ibn_seg.evaluation.stored import ImageConfusions, StoredConfusions
from ibn_seg.provenance import source_domains
from ibn_seg.report.board import Network

Classes = tuple[str, ...]


def class_lists(networks: Iterable[Network]) -> list[Classes]:
    """Return the lists of classes over which the targets of networks are scored.

    Networks that were evaluated on their sources alone are scored over the classes of these.
    """
    networks = list(networks)
    found = dict.fromkeys(
        one.stored.names(domain)
        for one in networks
        for domain in one.scores
        if domain not in source_domains(one.source)
    )
    if not found:
        found = dict.fromkeys(one.stored.names(name) for one in networks for name in one.scores)
    return list(found)


def over_classes(network: Network, names: Classes) -> Network | None:
    """Return a network with the scores over a list of classes only, or None if it has none.

    Scores over other classes are left out. A source that is labelled in the network's own classes
    stays, though: its labels are merged as the predictions are, by the map of a target.

    Args:
        network: A network.
        names: The classes.
    """
    kept: dict[str, ImageConfusions] = {}
    mapping = _map_to(network, names)
    for domain, images in network.stored.domains.items():
        if network.stored.names(domain) == names:
            kept[domain] = images
        elif mapping and images.mapping is None and domain in source_domains(network.source):
            kept[domain] = _merged(images, mapping)
    if list(kept.values()) == list(network.stored.domains.values()):
        return network
    if not kept:
        return None
    stored = StoredConfusions(network.stored.classes, kept, network.stored.step)
    unchanged = [name for name in kept if kept[name] is network.stored.domains[name]]
    return dataclasses.replace(
        network,
        stored=stored,
        scores={name: _score(stored, name) for name in kept},
        validation={n: curve for n, curve in network.validation.items() if n in unchanged},
    )


def about_classes(names: Classes, domains: Sequence[str]) -> str:
    """Return classes in words, such as 'the 11 classes of camvid'.

    Args:
        names: The classes.
        domains: Domains that are labelled in them.
    """
    known = next((space.name for space in SPACES.values() if space.classes == names), None)
    return f"the {len(names)} classes of {known or ' and '.join(domains)}"


def _map_to(network: Network, names: Classes) -> ClassMap | None:
    """Return the map by which a target of a network is scored over classes."""
    found = (images.mapping for images in network.stored.domains.values() if images.mapping)
    return next((mapping for mapping in found if mapping.groups == names), None)


def _merged(images: ImageConfusions, mapping: ClassMap) -> ImageConfusions:
    """Return the matrices of a domain, labels merged too; labels without group are void."""
    return dataclasses.replace(
        images, counts=mapping.merge_labels(images.counts), scored=None, mapping=mapping
    )


def _score(stored: StoredConfusions, domain: str) -> float:
    images = stored.domains[domain]
    counts = images.scored_counts.sum(axis=0)
    return scores(counts, stored.names(domain), scored=images.scored).mIoU
