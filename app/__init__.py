"""The web page over models.pipelines and experiments, built with Gradio; its analytics are disabled.

page: the page and its server. tabs: one module per tab. networks, selection: weights that can be chosen, and loaded networks.
images: uploads and downloads. tasks: long-running work. results: folders of runs. albums, views: data sets and their images.
"""
import os

os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
