"""`make docs-pictures`: every picture of the README and the pages, and the tables of files-and-formats.md.

Pictures show scikit-image's astronaut (NASA, public domain) and people who do not exist, drawn and tracked by emosh
itself. PICTURES names each file and the function that draws it. Steps that take long are kept in the work folder.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stages.artifacts.latents import LATENTS
from stages.artifacts.manifest import read_manifest
from stages.artifacts.motion import MOTION, Motion, load_motion, select_rows
from stages.artifacts.schema import Schema
from stages.artifacts.training_cache import CLIP
from stages.body.camera import UPRIGHT, default_intrinsics, project
from stages.body.model import Body, pose_body, pose_motion
from stages.body.store import open_body
from stages.curate.config import CurateConfig
from stages.curate.filters import FILTERS
from stages.curate.histogram import histogram
from stages.detect.holistic import detect
from stages.evaluate.report import REPORT
from stages.export.scail_2 import write_scail_2
from stages.export.upright import upright_motion
from stages.export.wan_animate import write_wan_animate
from stages.people.clips import draw_frames, make_person, write_person
from stages.people.config import PeopleConfig
from stages.raster.rasterizer import rasterizer
from stages.raster.shading import interpolate_averaged, vertex_normals
from stages.render_cond.config import RenderCondConfig
from stages.render_cond.render import render_frames
from stages.retarget.config import RetargetConfig
from stages.retarget.retarget import retarget
from stages.track.overlay import gate_lines, overlay_frames
from stages.video.contact_sheet import write_contact_sheet
from stages.video.png import write_png
from stages.video.source import read_frames
from stages.wan.layout import layout

HERE = Path(__file__).parent
CELL = 240
"""Side of one panel, pixels."""
DARK, LIGHT = (24, 24, 24), (235, 235, 235)
GESTURING, OUTSIDE, BROAD, SLIM, STANDING = 5, 6, 39, 12, 13
"""Numbers of synthetic people: one whose hands are seen, one whose hands leave the picture, a broad and a slim one, one
seen whole."""
SHOWN = (0, 5, 13, 21, 27, 31, 36, 38)
CURATED = 8
AWAY_M = 2.7
"""From the camera to the exported body."""
Picture = np.ndarray


@dataclass
class Material:
    """What the pictures are made from, made when first asked for and kept in the folder `work`."""

    work: Path

    @cached_property
    def body(self) -> Body:
        """The open body."""
        return open_body("open")

    @cached_property
    def demo(self) -> Path:
        """The folder that `make demo` leaves."""
        folder = self.work / "demo"
        if not (folder / "animation.webp").exists():
            _python("emosh_cli.demo", "--out", folder)
        return folder

    @cached_property
    def driver(self) -> Path:
        """The demo's driving clip."""
        return next(self.demo.glob("person-*.mp4"))

    @cached_property
    def photo(self) -> Picture:
        """The astronaut."""
        return _first(self.demo / "photo.png")

    def person(self, number: int, framing: str, background: str = "gradient", frames: int = 40) -> tuple[Path, Motion]:
        """A synthetic person's clip and its true motion."""
        folder = self.work / f"person-{number}-{framing}"
        config = PeopleConfig(framing=(framing,), background=(background,), frames=frames)
        person = make_person(self.body, number, config)
        clip = folder / f"person-{number:06d}.mp4"
        if not clip.with_suffix(".npz").exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_person(self.body, person, config, folder)
        return clip, person.motion

    def tracked(self, clip: Path) -> Motion:
        """The clip as `emosh track` sees it."""
        motion = clip.with_name("tracked.npz")
        if not motion.exists():
            _emosh("track", clip, "-o", motion)
        return load_motion(motion)


# ---- one function per picture
def front(material: Material, out: Path) -> None:
    """Photo, driver, condition map and result, moving: what `make demo` leaves."""
    shutil.copyfile(material.demo / "animation.webp", out)


def tracking(material: Material, out: Path) -> None:
    """A frame, the detector's points on it, and the fitted body over it."""
    clip, _ = material.person(GESTURING, "half")
    row = int(np.argmax(material.tracked(clip).valid[:-5].sum(1)))
    frame, over = _frames(clip)[row], list(overlay_frames(clip, material.tracked(clip), material.body))[row]
    seen = detect(clip)
    marked = Image.fromarray(frame // 2)
    draw = ImageDraw.Draw(marked)
    for points, size, colour in (
        (seen.pose[row], 5, (90, 220, 120)), (seen.face[row], 1, (250, 220, 90)),
        (seen.left_hand[row], 2, (255, 110, 90)), (seen.right_hand[row], 2, (90, 170, 255)),
    ):  # fmt: skip
        for x, y, _ in points[np.isfinite(points).all(1)]:
            draw.ellipse((x - size, y - size, x + size, y + size), fill=colour)
    panels = [("driving video", frame), ("points found", np.asarray(marked)), ("fitted body", over)]
    _save(out, _row(panels, 320))


def two_bodies(material: Material, out: Path) -> None:
    """One pose in the driver's body and in the body of the person in the photo."""
    clip, driver = material.person(SLIM, "three_quarters")
    photo, reference = material.person(BROAD, "three_quarters")
    target, _ = retarget(driver, reference, material.body)
    row = 24
    panels = [
        ("driving video", _frames(clip)[row]),
        ("the driver's body", _grey(material.body, driver, row)),
        ("photo", _frames(photo)[0]),
        ("the photo's body, same pose", _grey(material.body, target, row)),
    ]
    _save(out, _row(panels, CELL))


def contacts(material: Material, out: Path) -> None:
    """Hands on hips in the body where they were made, and in a heavier one: the plain swap, and with contacts kept."""
    from benchmarks.contact_motions import bodies, make, scripts

    people = dict(bodies())
    made = make(material.body, people["average, thin"], next(each for each in scripts() if "hips" in each.name))
    driver, reference = made.motion, replace(made.motion, betas=people["average, heavy"])
    panels = [("the driver's body", driver)]
    for label, kept in (("--no-contacts", False), ("contacts kept", True)):
        panels.append((label, retarget(driver, reference, material.body, RetargetConfig(contacts=kept))[0]))
    _save(out, _row([(label, _grey(material.body, motion, made.rows[0][0] + 15)) for label, motion in panels], CELL))


def condition_map(material: Material, out: Path) -> None:
    """The astronaut's condition map, and the same without lines."""
    motion = load_motion(material.demo / "photo.npz")
    maps = [next(render_frames(motion, material.body, RenderCondConfig(hybrid=hybrid))) for hybrid in (True, False)]
    _save(out, _row([("photo", material.photo), ("condition map", maps[0]), ("--no-hybrid", maps[1])], CELL))


def puppet(material: Material, out: Path) -> None:
    """The photo, and frames that the puppet drew from it."""
    frames = _frames(material.demo / "result.mp4")
    chosen = [(f"frame {number}", frames[number]) for number in (36, 66)]
    _save(out, _row([("photo", material.photo), *chosen], CELL))


def model_input(material: Material, out: Path) -> None:
    """The slots of a first and of a later chunk, from the layout that the code uses, and the motion beside them."""
    maps = _frames(material.demo / "result.emosh" / "cond.mp4")
    side, left = 40, 108
    sheet = Image.new("RGB", (left + 22 * side + 6, 248), DARK)
    draw = ImageDraw.Draw(sheet)
    random = np.random.default_rng(0)
    photo, anchor = _resized(material.photo, side - 2), _resized(_frames(material.demo / "result.mp4")[0], side - 2)
    for chunk, first in enumerate((True, False)):
        slots = layout(77, 5, first, sac=True)
        top = 8 + chunk * 124
        _write(draw, (8, top), "chunk 1" if first else "later chunks", 15)
        names = ["photo"] + ["anchor"] * slots.anchor + ["overlap"] * slots.temporal + ["noise"] * slots.noisy
        for number, name in enumerate(names):
            x = left + number * side
            noise = random.integers(0, 255, (side - 2, side - 2, 3), dtype=np.uint8)
            known = {"photo": photo, "anchor": anchor, "overlap": anchor // 2 + 60}
            sheet.paste(Image.fromarray(known.get(name, noise)), (x, top + 18))
            if number >= slots.lead:
                map_frame = maps[min(4 * (number - slots.lead), len(maps) - 1)]
                sheet.paste(Image.fromarray(_resized(map_frame, side - 2)), (x, top + 18 + side))
        start = 0
        for name, count in (("photo", 1), ("anchor", slots.anchor), ("overlap", slots.temporal),
                            (f"noise, {slots.noisy} slots to be denoised", slots.noisy)):  # fmt: skip
            if count:
                _write(draw, (left + start * side, top), name, 10)
            start += count
        _write(draw, (8, top + 30), "picture slots", 12)
        _write(draw, (8, top + 30 + side), "+ motion", 12)
    _save(out, np.asarray(sheet))


def people(material: Material, out: Path) -> None:
    """People who do not exist."""
    config = PeopleConfig(width=CELL, height=CELL, frames=30)
    drawn = [list(draw_frames(material.body, make_person(material.body, number, config)))[15] for number in SHOWN]
    _save(out, np.vstack([np.hstack(drawn[:4]), np.hstack(drawn[4:])]))


def curation(material: Material, out: Path) -> None:
    """How much the curated clips move, with the threshold: a figure of the summary page, over made-up clips."""
    folder, clips = material.work / "curated", material.work / "clips"
    if not (clips / "manifest.jsonl").exists():
        _emosh("curate", "--synthetic", CURATED, "-o", folder)
        _emosh("curate", folder, "-o", clips)
    lines = [line for line in read_manifest(clips / "manifest.jsonl") if "hand_share" in line.figures]
    chosen = next(each for each in FILTERS if each.figure == "hand_share")
    kept, gone = (
        [each.figures["hand_share"] for each in lines if (each.reason is None) == good] for good in (True, False)
    )
    drawn = histogram(kept, gone, chosen.limit(CurateConfig()), chosen.most, is_share=True)
    style = (
        "text{font:11px sans-serif;fill:#555} .kept{fill:#2f7d5b} .gone{fill:#b9b4ac} .axis{stroke:#e2ded8;fill:none} "
        "path.limit{stroke:#c2410c;stroke-width:1.5;stroke-dasharray:4 3} text.limit{fill:#c2410c}"
    )
    heading = f'<text x="8" y="-8">{chosen.meaning}: kept (green) and rejected clips</text>'
    opening = '<svg xmlns="http://www.w3.org/2000/svg" width="520" height="234" viewBox="0 -22 380 172"'
    body = drawn.replace('<svg viewBox="0 0 380 150"', opening).replace(
        '">', f'"><style>{style}</style><rect y="-22" width="380" height="172" fill="white"/>{heading}', 1
    )
    out.write_text(body + "\n", encoding="utf-8")


def evaluate_over_time(material: Material, out: Path) -> None:
    """Colour over time of the driver driving his own first frame, as the paper evaluates."""
    work = material.work / "self-driven"
    if not (work / "plot.svg").exists():
        work.mkdir(parents=True, exist_ok=True)
        write_png(work / "photo.png", _first(material.driver))
        _emosh("animate", "--ref", work / "photo.png", "--drive", material.driver, "-o", work / "result.mp4")
        _emosh("evaluate", work / "result.mp4", "--truth", material.driver, "-o", work / "report.json",
               "--plot", work / "plot.svg")  # fmt: skip
    shutil.copyfile(work / "plot.svg", out)


def export(material: Material, out: Path) -> None:
    """What the exports write: a motion upright, on the floor, seen from a little above."""
    _, motion = material.person(STANDING, "full", frames=97)
    samples = upright_motion(motion, material.body)
    view = UPRIGHT @ _tilted(0.12)
    K = default_intrinsics(CELL, 360)
    panels = []
    for row in (0, 30, 60, 90):
        posed = pose_body(material.body, samples.template, samples.poses[[row]], samples.trans[[row]],
                          samples.expression[[row]], samples.head_scale)  # fmt: skip
        middle = np.array([samples.trans[row, 0], 0.9, samples.trans[row, 2]])
        panels.append((f"{samples.times[row]:.1f} s", _on_floor(material.body, posed.vertices[0] - middle, view, K)))
    _save(out, _row(panels, 360))


def comfyui(material: Material, out: Path) -> None:
    """One moment as each model reads it: what `emosh export` and `emosh render-cond` write."""
    clip, driver = material.person(SLIM, "three_quarters")
    photo, person = material.person(BROAD, "three_quarters")
    work, row, body = material.work / "comfyui", 24, material.body
    work.mkdir(exist_ok=True)
    write_png(work / "photo.png", _frames(photo)[0])
    reference = select_rows(person, slice(1))
    target, _ = retarget(driver, reference, body)
    write_wan_animate(work / "wan", target, body, work / "photo.png", video=clip, video_motion=driver,
                      fps=round(driver.fps))  # fmt: skip
    write_scail_2(work / "scail", target, body, work / "photo.png", ref_motion=reference)
    size = dict(zip(("width", "height"), target.image_size, strict=True))
    drawn = {name: list(render_frames(target, body, RenderCondConfig(drawing=name, **size)))[row]
             for name in ("openpose", "depth")}  # fmt: skip
    panels = [
        ("driving video", _frames(clip)[row]), ("photo", _frames(photo)[0]),
        *((name, _frames(work / "wan" / name)[row]) for name in ("src_pose.mp4", "src_face.mp4")),
        *((f"{name}.mp4", picture) for name, picture in drawn.items()),
        *((name, _frames(work / "scail" / name)[row]) for name in ("rendered_v2.mp4", "rendered_mask_v2.mp4")),
    ]  # fmt: skip
    _save(out, np.vstack([_row(panels[:4], CELL), _row(panels[4:], CELL)]))


def sheet(material: Material, out: Path) -> None:
    """The demo's contact sheet, three moments of it."""
    _sheet(out, _columns(material), 3)


def files(material: Material, out: Path) -> None:
    """The same columns under the names of the files."""
    names = ("a.png", "drive.mp4", "overlay.mp4", "out.emosh/cond.mp4", "out.mp4")
    _sheet(out, [(name, source) for name, (_, source) in zip(names, _columns(material), strict=True)], 1)


def refused(material: Material, out: Path) -> None:
    """Overlays of one clip: where checks refuse most, and where everything is measured."""
    clip, _ = material.person(OUTSIDE, "half")
    motion = material.tracked(clip)
    over = list(overlay_frames(clip, motion, material.body))
    most = max(range(len(motion)), key=lambda row: len(gate_lines(motion, row)))
    _save(out, _row([(f"frame {row}", over[row]) for row in (most, int(motion.valid.sum(1).argmax()))], 360))


PICTURES: dict[str, Callable[[Material, Path], None]] = {
    "front.webp": front,
    "tracking.webp": tracking,
    "two-bodies.webp": two_bodies,
    "contacts.webp": contacts,
    "condition-map.webp": condition_map,
    "puppet.webp": puppet,
    "model-input.webp": model_input,
    "people.webp": people,
    "curation.svg": curation,
    "evaluate-over-time.svg": evaluate_over_time,
    "export.webp": export,
    "comfyui.webp": comfyui,
    "sheet.webp": sheet,
    "files.webp": files,
    "refused.webp": refused,
}
"""File in docs/pictures -> what draws it."""


# ---- tables of files-and-formats.md
def schema_table(schema: Schema) -> list[str]:
    """One artifact's arrays as Markdown."""
    rows = [
        f"| `{each.name}` | {each.axes.replace(' ', ' x ') or 'one value'} | {each.kind} | "
        f"{each.meaning}{'' if each.required else ' (may be absent)'} |"
        for each in schema.fields
    ]
    return ["| array | shape | type | meaning |", "|---|---|---|---|", *rows]


def report_table() -> list[str]:
    """The sections of report.json as Markdown."""
    rows = [f"| `{each.name}` | {each.meaning} |" for each in REPORT if "." not in each.name]
    return ["| section | what is in it |", "|---|---|", *rows]


TABLES: dict[str, Callable[[], list[str]]] = {
    "motion": lambda: schema_table(MOTION),
    "latents": lambda: schema_table(LATENTS),
    "training-clip": lambda: schema_table(CLIP),
    "report": report_table,
}


def with_tables(page: str) -> str:
    """The page with every table between its two marks made anew."""
    for name, table in TABLES.items():
        mark, end = f"<!-- table: {name} -->\n", "<!-- end -->"
        before, _, rest = page.partition(mark)
        assert rest, f"the page has no mark for the table {name}"
        page = before + mark + "\n".join(table()) + "\n" + end + rest.split(end, 1)[1]
    return page


# ---- drawing
def _columns(material: Material) -> list[tuple[str, Path]]:
    demo = material.demo
    return [
        ("photo", demo / "photo.png"), ("driving", material.driver), ("overlay", demo / "overlay.mp4"),
        ("condition", demo / "result.emosh" / "cond.mp4"), ("result", demo / "result.mp4"),
    ]  # fmt: skip


def _sheet(out: Path, columns: Sequence[tuple[str, Path]], moments: int) -> None:
    written = out.with_suffix(".png")
    write_contact_sheet(written, columns, moments, cell_height=180)
    _save(out, np.asarray(Image.open(written)))
    written.unlink()


def _grey(body: Body, motion: Motion, row: int) -> Picture:
    """The body alone as the motion's camera sees it."""
    vertices = pose_motion(body, select_rows(motion, slice(row, row + 1))).vertices[0]
    width, height = motion.image_size
    return _lit(body, vertices, motion.K[row], np.full((height, width, 3), 40.0))


def _on_floor(body: Body, vertices: np.ndarray, view: np.ndarray, K: np.ndarray) -> Picture:
    """The body on a floor of half-metre squares. Vertices are y up, the floor at -0.9."""
    picture = Image.new("RGB", (CELL, 360), (232, 234, 238))
    draw = ImageDraw.Draw(picture)
    away = np.array([0, 0, AWAY_M])
    for step in np.arange(-1.5, 1.6, 0.5):
        for ends in (((step, -0.9, -1.5), (step, -0.9, 1.5)), ((-1.5, -0.9, step), (1.5, -0.9, step))):
            x = project(np.array(ends) @ view.T + away, K)
            draw.line([*map(tuple, x[:, :2])], fill=(176, 182, 192))
    return _lit(body, vertices @ view.T + away, K, np.asarray(picture, float))


def _lit(body: Body, vertices: np.ndarray, K: np.ndarray, behind: Picture) -> Picture:
    """The body in grey light over a picture, anti-aliased. Vertices in the camera's frame."""
    height, width = behind.shape[:2]
    fragments = rasterizer()(project(vertices, np.diag([2.0, 2.0, 1.0]) @ K), body.faces, 2 * width, 2 * height)
    light = np.abs(vertex_normals(vertices, body.faces) @ np.array([-0.35, -0.45, -0.82]))[:, None]
    shade = np.concatenate([(0.3 + 0.7 * light) * np.array([[158, 186, 224]]), np.ones_like(light)], 1)
    drawn = interpolate_averaged(fragments, body.faces, shade, 2)
    return np.clip(behind * (1 - drawn[..., 3:]) + drawn[..., :3], 0, 255).astype(np.uint8)


def _tilted(angle: float) -> np.ndarray:
    """The world turned about x so that the camera looks a little down."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _row(panels: Sequence[tuple[str, Picture]], height: int) -> Picture:
    """Pictures of one height side by side, each under its name."""
    cells = [_resized(picture, height) for _, picture in panels]
    sheet = Image.new("RGB", (sum(cell.shape[1] + 6 for cell in cells) - 6, height + 22), DARK)
    left = 0
    for (label, _), cell in zip(panels, cells, strict=True):
        sheet.paste(Image.fromarray(cell), (left, 22))
        _write(ImageDraw.Draw(sheet), (left + 4, 3), label, 13)
        left += cell.shape[1] + 6
    return np.asarray(sheet)


def _write(draw: ImageDraw.ImageDraw, place: tuple[float, float], words: str, size: int) -> None:
    draw.text(place, words, fill=LIGHT, font=ImageFont.load_default(size))


def _resized(picture: Picture, height: int) -> Picture:
    width = round(picture.shape[1] * height / picture.shape[0])
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def _frames(video: Path) -> list[Picture]:
    return [frame.rgb for frame in read_frames(video)]


def _first(source: Path) -> Picture:
    return next(iter(read_frames(source))).rgb


def _save(out: Path, picture: Picture) -> None:
    Image.fromarray(picture).save(out, "WEBP", quality=82, method=6)


# ---- commands
def _emosh(*words: object) -> None:
    _python("emosh_cli", *words)


def _python(module: str, *words: object) -> None:
    subprocess.run([sys.executable, "-m", module, *map(str, words)], check=True)


def main() -> None:
    """Draw what is asked for."""
    parser = argparse.ArgumentParser(description="Make the pictures of the README and the pages.")
    parser.add_argument("names", nargs="*", metavar="PICTURE", help="only these, such as tracking.webp")
    parser.add_argument("--work", type=Path, default=Path("out/docs-pictures"), help="where steps are kept")
    options = parser.parse_args()
    for name in options.names or PICTURES:
        PICTURES[name](Material(options.work), HERE / "pictures" / name)
        print(HERE / "pictures" / name, flush=True)
    page = HERE / "files-and-formats.md"
    page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
