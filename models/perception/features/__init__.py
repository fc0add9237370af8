"""Feature networks: `vgg.VGGFeatures`, `lpips.LPIPS`, `inception.InceptionFeatures` and `efficientnet.EfficientNetLite0`."""
