"""How good are samples? Measures on features (N, F), whatever made them (chapter 10).

A feature is any number that describes a picture: a pixel, a principal component, or what a network
sees. Distances between sets of samples are only as good as the features.
"""

from gmmlearn.metrics.bins import Bins, Modes, mode_statistics, ndb
from gmmlearn.metrics.clusters import clustering_accuracy
from gmmlearn.metrics.distances import (
    KernelBlocks,
    frechet_distance,
    frechet_distance_gaussians,
    kernel_distance,
    kernel_distance_blocks,
)
from gmmlearn.metrics.faults import faulty_samples
from gmmlearn.metrics.intervals import (
    Interval,
    agreement,
    bits_per_pixel,
    bootstrap_interval,
    mean_interval,
)
from gmmlearn.metrics.neighbours import (
    NearestDistance,
    PrecisionRecall,
    mean_pairwise_distance,
    nearest_distance_ratio,
    nearest_neighbor_accuracy,
    precision_recall,
)

__all__ = [
    "Bins",
    "Interval",
    "KernelBlocks",
    "Modes",
    "NearestDistance",
    "PrecisionRecall",
    "agreement",
    "bits_per_pixel",
    "bootstrap_interval",
    "clustering_accuracy",
    "faulty_samples",
    "frechet_distance",
    "frechet_distance_gaussians",
    "kernel_distance",
    "kernel_distance_blocks",
    "mean_interval",
    "mean_pairwise_distance",
    "mode_statistics",
    "ndb",
    "nearest_distance_ratio",
    "nearest_neighbor_accuracy",
    "precision_recall",
]
