"""What would run, as sentences."""

from collections.abc import Iterator

from iris_camera.config.schema import fields_of
from iris_camera.config.sections import CameraSettings, Config, OutboxSettings
from iris_camera.config.servers import ServerSettings
from iris_camera.inspection.settings import ClassifierSettings, DetectorSettings, InspectionSettings
from iris_communication.runtime.amounts import counted, files, size
from iris_communication.settings import Rule


def summary(config: Config) -> list[str]:
    """One paragraph per line, without secrets."""
    return [
        *_cameras(config),
        *(f"Server {name}: {_server(server)}." for name, server in config.servers.items()),
        *(f"Rule {name}: {_rule(rule)}." for name, rule in config.delivery.rules.items()),
        f"Records: {config.records_dir}; a file ends at {_limits(config)}. {_kept(config)}",
        f"Outbox: {config.outbox_dir}, {_room(config.outbox)}",
        f"Page: {_page(config)}",
    ]


def _cameras(config: Config) -> Iterator[str]:
    for name, camera in config.cameras.items():
        if not camera.enabled:
            yield f"Camera {name}: disabled."
            continue
        servers = config.servers_of(name)
        goes = (
            f"go to {' and to '.join(servers)} as project {config.project_of(name)}"
            if servers
            else "wait, for there is no server"
        )
        evidence = "defects are kept as pictures" if config.evidence.enabled else "no pictures of defects"
        yield (
            f"Camera {name}: {_source(camera)}; {_inspection(config.inspection_of(name))}; {evidence}. "
            f"Its records {goes}."
        )


def _source(camera: CameraSettings) -> str:
    rate = f"{camera.frame_rate:g} frames a second" if camera.frame_rate else ""
    if camera.kind == "synthetic":
        return f"the made-up line (seed {camera.seed}{', ' + rate if rate else ''})"
    if camera.kind == "file":
        pace = "as fast as it can be inspected" if camera.pace == "fast" else rate or "at its own rate"
        return f"the film {camera.path}, {pace}{', again and again' if camera.repeat else ', once'}"
    if camera.kind == "dir":
        within = " and the folders in it" if camera.with_subfolders else ""
        alone = "each by itself" if camera.are_stills else "as the frames of one film"
        return f"the pictures in {camera.path}{within}, and those that come, {alone}"
    at_most = (f", at most {rate}" if rate else "") + (", each picture by itself" if camera.are_stills else "")
    login = f", logging in as {camera.username}" if camera.username else ""
    return f"{camera.source}{at_most}{login}"


def _inspection(settings: InspectionSettings) -> str:
    defects = " or ".join(f'"{label}"' for label in settings.defect_labels) or "nothing"
    word = settings.detector.own_label
    if word is not None and not settings.has_classifier and word not in settings.defect_labels:
        defects += f', but every verdict is "{word}", so there is none'
    return (
        f"found by {_detector(settings.detector)}, judged by {_classifier(settings.classifier, settings.detector)}; "
        f"a defect is {defects}"
    )


def _detector(detector: DetectorSettings) -> str:
    if detector.kind == "haar":
        return f"OpenCV's cascade {detector.cascade}"
    if detector.kind == "hog":
        return "OpenCV's detector of upright people"
    return f"the model {detector.model}" if detector.model else "the demo's own detector"


def _classifier(classifier: ClassifierSettings, detector: DetectorSettings) -> str:
    if classifier.model is not None:
        return f"the model {classifier.model}"
    own = detector.kind == "onnx" and detector.model is None
    if classifier.kind == "onnx" or (classifier.kind == "auto" and own):
        return "the demo's own classifier"
    return "the detector's own label"


def _server(server: ServerSettings) -> str:
    if server.host_key:
        trust = "its host key is pinned"
    else:
        trust = {
            "strict": "~/.ssh/known_hosts has to know it",
            "accept-new": "its host key is accepted the first time and remembered",
            "off": "its host key is NOT CHECKED",
        }[server.host_key_policy]
    parts = [
        f"{server.account}, logging in with {_proof(server)}, into {server.remote_directory}",
        trust,
        *_treatment(server),
    ]
    return "; ".join(parts)


def _proof(server: ServerSettings) -> str:
    if server.private_key:
        return "a private key"
    if server.password:
        return "a password"
    return "what `ssh` itself has" if server.transport == "ssh" else "what its agent has"


def _treatment(server: ServerSettings) -> Iterator[str]:
    """How the account is treated, where that differs from the default."""
    taken = {
        "overwrite": "what holds a file's name there is overwritten",
        "fail": "a file whose name is taken there is given up",
        "keep": "a file whose name is taken there is not sent",
    }
    if server.conflict in taken:
        yield taken[server.conflict]
    if server.marker:
        yield f"each file is followed by its {server.marker}"
    if server.bandwidth_bytes_per_s:
        yield f"at most {size(server.bandwidth_bytes_per_s)} a second"
    if server.windows:
        yield f"only {' and '.join(server.windows)}, local time"
    if not server.health_interval_s:
        yield "its health is not looked at"


def _rule(rule: Rule) -> str:
    """What the rule states, by its keys."""
    named = {name: value for name in fields_of(Rule) if (value := getattr(rule, name)) != getattr(Rule(), name)}
    which = [f"{name} {named.pop(name)}" for name in ("folder_type", "pattern") if name in named]
    says = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in named.items()
    )
    return f"files of {' and '.join(which) or 'every kind'}: {says or 'nothing'}"


def _room(outbox: OutboxSettings) -> str:
    room = f"room for {files(outbox.max_queue_size)}"
    if outbox.bytes_max is not None:
        room += f" and {size(outbox.bytes_max)}"
    if outbox.disk_reserve_bytes:
        room += f", {size(outbox.disk_reserve_bytes)} of its disk left free"
    gives_way = {
        "reject": "what has no room stays in the records' folder",
        "drop_oldest": "what is new drops the oldest that waits",
        "drop_lowest": "what is new drops what waits with the lowest priority",
    }
    return f"{room}; {gives_way[outbox.when_full]}."


def _limits(config: Config) -> str:
    records = config.records
    return f"{counted(records.rows_max, 'row')}, {size(records.size_bytes_max)} or {records.age_s_max:g} s"


def _kept(config: Config) -> str:
    records = config.records
    if not records.keep_bytes_max:
        return "Nothing is kept after delivery."
    age = f" and for {records.keep_age_s_max:g} s" if records.keep_age_s_max else ""
    return f"After delivery up to {size(records.keep_bytes_max)} are kept{age}."


def _page(config: Config) -> str:
    web = config.web
    port = str(web.port) if web.port else "a free port"
    host = f"[{web.host}]" if ":" in web.host else web.host
    address = f"http://{host}:{port}" if web.port else f"{web.host}, {port}"
    return f"{address}{', or a free port if that is taken' if web.port_falls_back and web.port else ''}."
