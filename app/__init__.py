"""The web page over models.pipelines and experiments, on Gradio, which is told to report nothing to anybody."""
import os

os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
