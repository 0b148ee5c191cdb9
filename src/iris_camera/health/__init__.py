from iris_camera.health.service import CameraView, HealthService, UploaderView

__all__ = ["CameraView", "HealthService", "UploaderView"]
