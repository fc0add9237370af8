"""Registry of the metrics: title, direction, precision and description of each table column."""
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Measure:
    """A metric and its column."""

    title: str
    better: Literal['high', 'low', '']  # '' where no direction is better
    digits: int                         # decimals shown
    meaning: str                        # description with unit


_OUTSIDE = 'outside of the face mask, before compositing'
MEASURES = {
    'id_source': Measure('ID source', 'high', 3, 'cosine of the identities of swap and source'),
    'id_target': Measure('ID target', 'low', 3, 'cosine of the identities of swap and target'),
    'top1': Measure('top-1', 'high', 3, 'fraction of swaps whose source is the nearest identity (mean of its other images)'),
    'top5': Measure('top-5', 'high', 3, 'fraction of swaps whose source is among the five nearest identities'),
    'nearest': Measure('nearest', 'high', 3, "fraction of swaps whose nearest image has the source identity (FaceShifter)"),
    'pose': Measure('pose', 'low', 2, 'mean absolute difference of yaw, pitch and roll to the target, degrees'),
    'expression': Measure('expression', 'low', 2, 'shape of eyes, brows and mouth against the target, % of their widths'),
    'shape': Measure('shape', 'low', 2, 'jaw, nose and mouth with the pose removed against the source, % of the eye distance'),
    'background_l1': Measure('bg L1', 'low', 4, f'mean absolute difference to the target {_OUTSIDE}, fraction of the range'),
    'background_psnr': Measure('bg PSNR', 'high', 2, f'peak signal-to-noise ratio to the target {_OUTSIDE}, dB'),
    'background_ssim': Measure('bg SSIM', 'high', 4, f'structural similarity to the target {_OUTSIDE}'),
    'background_lpips': Measure('bg LPIPS', 'low', 4, f'LPIPS to the target {_OUTSIDE}'),
    'whole_l1': Measure('L1', '', 4, 'mean absolute difference to the target, whole image before compositing'),
    'whole_psnr': Measure('PSNR', '', 2, 'peak signal-to-noise ratio to the target, whole image before compositing, dB'),
    'whole_ssim': Measure('SSIM', '', 4, 'structural similarity to the target, whole image before compositing'),
    'whole_lpips': Measure('LPIPS', '', 4, 'LPIPS to the target, whole image before compositing'),
    'pasted_background_l1': Measure('pasted bg L1', 'low', 4, 'bg L1 after compositing: near 0 for all systems'),
    'pasted_background_psnr': Measure('pasted bg PSNR', 'high', 2, 'bg PSNR after compositing'),
    'pasted_background_ssim': Measure('pasted bg SSIM', 'high', 4, 'bg SSIM after compositing'),
    'pasted_background_lpips': Measure('pasted bg LPIPS', 'low', 4, 'bg LPIPS after compositing'),
    'pasted_whole_l1': Measure('pasted L1', '', 4, 'L1 after compositing'),
    'pasted_whole_psnr': Measure('pasted PSNR', '', 2, 'PSNR after compositing'),
    'pasted_whole_ssim': Measure('pasted SSIM', '', 4, 'SSIM after compositing'),
    'pasted_whole_lpips': Measure('pasted LPIPS', '', 4, 'LPIPS after compositing'),
    'truth_l1': Measure('truth L1', 'low', 4, 'mean absolute difference to the true swap, fraction of the range'),
    'truth_psnr': Measure('truth PSNR', 'high', 2, 'peak signal-to-noise ratio to the true swap, dB'),
    'truth_ssim': Measure('truth SSIM', 'high', 4, 'structural similarity to the true swap'),
    'truth_lpips': Measure('truth LPIPS', 'low', 4, 'LPIPS to the true swap'),
    'truth_id': Measure('truth ID', 'high', 3, 'cosine of the identities of swap and true swap'),
    'cause_identity': Measure('identity error', 'low', 3, "mean error of the renderer's identity parameters, each in [-1,1]"),
    'cause_attributes': Measure('attribute error', 'low', 3, "mean error of the renderer's pose, expression, light, in [-1,1]"),
    'attributes': Measure('attributes', 'high', 3, 'fraction of beard, baldness, makeup, freckles, glasses predicted correctly'),
    'color_mean': Measure('color', 'low', 2, 'CIELAB distance of the mean face colors of swap and target'),
    'color_deviation': Measure('color SD', 'low', 2, 'CIELAB distance of the standard deviations of the face colors of swap and '
                               'target'),
    'truth_color_mean': Measure('true color', '', 2, 'CIELAB distance of the mean face colors of true swap and target'),
    'truth_color_deviation': Measure('true color SD', '', 2, 'CIELAB distance of the standard deviations of the face colors of '
                                     'true swap and target'),
    'sharpness': Measure('sharpness', '', 3, 'ratio of the variances of the Laplacian in the face, swap to target'),
    'fid': Measure('FID', 'low', 2, 'Fréchet distance of swaps to targets on Inception features'),
    'kid': Measure('KID', 'low', 5, 'kernel distance of swaps to targets on Inception features'),
    'fd_id': Measure('FD-id', 'low', 4, 'Fréchet distance on the features of the identity encoder (not FID)'),
    'kd_id': Measure('KD-id', 'low', 6, 'kernel distance on the features of the identity encoder (not KID)'),
    'fd_lite0': Measure('FD-lite0', 'low', 3, 'Fréchet distance on spatial means of the maps of EfficientNet-Lite0 (not FID)'),
    'kd_lite0': Measure('KD-lite0', 'low', 5, 'kernel distance on the features of FD-lite0 (not KID)'),
    'precision': Measure('precision', 'high', 3, 'fraction of swaps inside the manifold of the targets'),
    'recall': Measure('recall', 'high', 3, 'fraction of targets inside the manifold of the swaps'),
    'diversity': Measure('diversity', '', 4, 'mean absolute difference of two samples of one swap, fraction of the range'),
    'faithfulness': Measure('low-pass error', 'low', 4, 'root mean square difference of the low-passes of sample and reference, '
                            'fraction of the range'),
    'id_reference': Measure('ID reference', 'high', 3, 'cosine of the identities of sample and reference'),
    'variety': Measure('variety', '', 4, "mean distance of two samples of one reference in the identity encoder's inner maps"),
    'evaluations': Measure('evaluations', '', 0, 'network evaluations per image'),
    'edges': Measure('edges', 'high', 3, 'correlation of the edges of translation and image'),
    'color_distance': Measure('colors', 'low', 4, 'Wasserstein distance of the color histograms of translations and domain'),
    'auc': Measure('AUC', 'high', 3, 'area under the ROC of photos against drawings, all pairs of a fold'),
    'accuracy': Measure('accuracy', 'high', 3, 'balanced accuracy of the pairs of AUC at the best threshold of the other folds'),
    'tar_at_far_0.01': Measure('TAR at 1 %', 'high', 3, 'true acceptance rate at a false acceptance rate of 1 %'),
    'tar_at_far_0.001': Measure('TAR at 0.1 %', 'high', 3, 'true acceptance rate at a false acceptance rate of 0.1 %'),
    'c2p_rank_1': Measure('drawing to photo, rank 1', 'high', 3, "fraction of drawings whose nearest photo has their identity"),
    'c2p_rank_10': Measure('drawing to photo, rank 10', 'high', 3, 'fraction of drawings with their identity in the nearest 10'),
    'p2c_rank_1': Measure('photo to drawing, rank 1', 'high', 3, "fraction of photos whose nearest drawing has their identity"),
    'p2c_rank_10': Measure('photo to drawing, rank 10', 'high', 3, 'fraction of photos with their identity in the nearest 10'),
    'seconds': Measure('s/image', 'low', 4, 'seconds per image, median over batches'),
    'megabytes': Measure('MB', 'low', 0, 'peak memory in MiB: allocated tensors on a GPU, else the resident set size'),
    'parameters': Measure('parameters', '', 0, 'parameters of the generating networks'),
    'gigaflop': Measure('GFLOP', 'low', 2, 'per image, including the frozen networks that a swap uses'),
}
DEFAULT_COLUMNS = ('id_source', 'id_target', 'top1', 'top5', 'pose', 'expression', 'shape', 'background_l1', 'background_psnr',
                   'background_ssim', 'truth_l1', 'truth_ssim', 'truth_id', 'cause_identity', 'cause_attributes', 'fid', 'fd_id',
                   'fd_lite0', 'sharpness', 'color_mean', 'truth_color_mean', 'seconds')
RECOGNITION_COLUMNS = ('auc', 'tar_at_far_0.01', 'tar_at_far_0.001', 'c2p_rank_1', 'p2c_rank_1')
TRANSLATION_COLUMNS = ('fid', 'kid', 'fd_id', 'kd_id', 'fd_lite0', 'precision', 'recall', 'id_source', 'edges', 'color_distance',
                       'diversity', 'truth_l1', 'truth_ssim')
