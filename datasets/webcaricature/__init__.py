"""WebCaricature (Huo et al. 2018, arXiv:1703.03230): photos and caricatures of the same identities, and their comparisons.

layout: images, landmarks and partitions. lists: the official lists of identities and pairs. folds: verification and
identification of caricatures and photos.
"""
from datasets.webcaricature.folds import SETTINGS, Fold, fold_identities, folds
from datasets.webcaricature.layout import FOLDS, LANDMARKS, five_landmarks, is_official, landmarks_from_68, webcaricature
from datasets.webcaricature.lists import plain_name

__all__ = ['FOLDS', 'LANDMARKS', 'SETTINGS', 'Fold', 'five_landmarks', 'fold_identities', 'folds', 'is_official',
           'landmarks_from_68', 'plain_name', 'webcaricature']
