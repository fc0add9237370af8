"""The web page over models.pipelines and experiments, built with Gradio; its analytics are disabled."""
import os

os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
