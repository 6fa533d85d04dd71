"""Embedded camera networks: people whom several cameras see, in Market-1501's layout.

A person is an `Outfit`, the same in every picture. A sighting decides the rest: the camera, the
view, the stride, the spot, and what stands in front. The two networks, source and target, have the
styles of the scenes of these names. They share no person and no camera.
"""
