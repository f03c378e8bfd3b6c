"""MediaPipe's networks, run by onnxruntime: a picture in, points of people, faces and hands out.

The files in `weights/` are those of mediapipe 0.10.21 in another format (`tools/convert_networks.py`). What lies
between the networks (anchors, regions, smoothing) follows the graphs of that version. Everything is in pixels of the
picture that is given: x right, y down.
"""
