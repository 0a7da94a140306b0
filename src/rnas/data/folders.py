"""Local data sets: parquet files as the hub lays them out, or one folder of images for each class."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

from rnas.data.sources import Source, as_parts, hashed, hashed_files, listed, names_part, one_line, part_of
from rnas.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["find"]

# data/train-00000-of-00001.parquet, or default/train/0000.parquet, as a copy of a repository has them.
PARQUET_DEPTHS = ("*", "*/*", "*/*/*")
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"}


def find(path: Path) -> Source:
    """The data set in a folder, or in one parquet file.

    Args:
        path: an existing folder or file.

    Raises:
        DataError: if it holds neither parquet files nor folders of images, or nothing to train on.
    """
    origin = str(path)
    name = path.resolve().stem if path.is_file() else path.resolve().name
    try:
        if path.is_file() and path.suffix != ".parquet":
            raise DataError(f"{origin}: expected a folder or a parquet file, found another kind of file")
        parquet = [path] if path.is_file() else _visible(path, {".parquet"}, *PARQUET_DEPTHS)
        if parquet:
            tables = as_parts(_parquet_parts(path, parquet), origin)
            return Source(
                name=name,
                origin=origin,
                fingerprint=hashed_files(file for part in tables.values() for file in part),
                open=lambda: {part: partial(_open_parquet, files) for part, files in tables.items()},
                folders=(path.parent if path.is_file() else path,),
            )
        images = as_parts(_image_parts(path), origin)
        images.pop("validation", None)
        class_names = sorted({label for part in images.values() for label in part})
        return Source(
            name=name,
            origin=origin,
            fingerprint=hashed(
                class_names, hashed_files(file for part in images.values() for files in part.values() for file in files)
            ),
            open=lambda: {part: partial(_open_images, files, class_names) for part, files in images.items()},
        )
    except OSError as error:
        raise DataError(f"{origin}: cannot be read ({one_line(error)})") from error


def _visible(folder: Path, suffixes: set[str], *patterns: str) -> list[Path]:
    """All files that match a pattern and have one of the suffixes, sorted, hidden ones left out."""
    return sorted(
        file
        for pattern in patterns
        for file in folder.glob(pattern)
        if file.suffix.lower() in suffixes
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _parquet_parts(root: Path, files: list[Path]) -> dict[str, list[Path]]:
    """Sort files into parts by their names (train-00000-of-00002.parquet) or their folders' (train/0000.parquet)."""
    parts: dict[str, list[Path]] = defaultdict(list)
    unnamed: list[Path] = []
    for file in files:
        inside = file.parent not in (root, root.parent)
        part = part_of(file.stem) or (part_of(file.parent.name) if inside else None)
        (parts[part] if part else unnamed).append(file)
    # Files of which none has a part's name (part-0.parquet) are the training images.
    if not parts:
        if len(files) > 1 and any(names_part(file.stem) for file in files):
            raise DataError(
                f"{root}: expected files whose names begin with train, test or validation, such as train-0.parquet, "
                f"found {listed(file.name for file in files)}: rename them"
            )
        parts["train"] = unnamed
    for part, members in parts.items():
        folders = sorted({str(file.parent) for file in members})
        if len(folders) > 1:
            raise DataError(f"{root}: several folders hold {part} files, give one of them: {', '.join(folders)}")
    return parts


def _open_parquet(files: list[Path]) -> Any:
    """The rows of some parquet files, in order."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Dataset

    tables: list[pa.Table] = []
    for file in files:
        if file.stat().st_size == 0:
            raise DataError(f"{file}: not a whole parquet file (it is empty)")
        # Read here and not through load_dataset, whose errors do not name the file, and which keeps a copy on disk.
        try:
            table = pq.read_table(file, partitioning=None)
            for index, field in enumerate(table.schema):
                if pa.types.is_dictionary(field.type):  # categories of pandas
                    table = table.set_column(index, field.name, table.column(index).cast(field.type.value_type))
            if not table.column_names:
                raise DataError(f"{file}: expected a column of images and one of labels, the file has no columns")
            tables.append(table)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise DataError(f"{file}: not a whole parquet file ({one_line(error)})") from error
    for file, table in zip(files, tables, strict=True):
        if table.schema != tables[0].schema:
            raise DataError(f"{file}: its columns are not those of {files[0].name}")
    try:
        return Dataset(pa.concat_tables(tables))
    except Exception as error:  # What features the file claims to have may be anything, and so what that raises.
        raise DataError(
            f'{files[0]}: its "huggingface" metadata do not describe its columns ({one_line(error)})'
        ) from error


def _image_parts(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """The images by part and class; classes are the sub-folders of a part, or of the folder if it has no parts."""
    inside = _folders(folder)
    # A class may be called "test" too; a part is a folder of folders.
    parts = {part_of(entry.name): entry for entry in inside if part_of(entry.name) and _folders(entry)}
    roots = {part: entry for part, entry in parts.items() if part} or {"train": folder}
    if not parts:
        _refuse_parts_as_classes(folder, inside)
    found = {
        part: {entry.name: _visible(entry, IMAGE_SUFFIXES, "**/*") for entry in _folders(root)}
        for part, root in roots.items()
    }
    if not any(files for classes in found.values() for files in classes.values()):
        raise DataError(
            f"{folder}: expected parquet files, or one sub-folder of images ({', '.join(sorted(IMAGE_SUFFIXES))}) "
            "for each class, found neither"
        )
    return found


def _refuse_parts_as_classes(folder: Path, inside: list[Path]) -> None:
    """Raise DataError if the sub-folders are surely no classes, but parts of other names, or whole data sets."""
    names = listed(entry.name for entry in inside)
    if inside and all(part_of(entry.name) for entry in inside):
        raise DataError(f"{folder}: expected one sub-folder of images for each class inside {names}, found none there")
    if inside and all(names_part(entry.name) and _folders(entry) for entry in inside):
        raise DataError(
            f"{folder}: expected folders called train and test (or val) with one sub-folder of images for each class, "
            f"found {names}: rename them"
        )
    whole = [entry for entry in inside if any(part_of(sub.name) and _folders(sub) for sub in _folders(entry))]
    if not whole and len(inside) == 1 and _folders(inside[0]) and not _visible(inside[0], IMAGE_SUFFIXES, "*"):
        whole = inside
    if whole:
        raise DataError(
            f"{folder}: expected one sub-folder of images for each class, but {listed(entry.name for entry in whole)} "
            f"holds such folders itself: give --data {whole[0]}"
        )


def _open_images(classes: dict[str, list[Path]], class_names: list[str]) -> Any:
    """Images by path, labelled with the index of their folder's name."""
    from datasets import ClassLabel, Dataset, Features, Image

    # Not load_dataset("imagefolder"): it takes a class without images for no class, and a file called test_1.png in
    # any class for a test image.
    pairs = [(str(file), label) for label, name in enumerate(class_names) for file in classes.get(name, [])]
    columns = {"image": [path for path, _ in pairs], "label": [label for _, label in pairs]}
    return Dataset.from_dict(columns, features=Features({"image": Image(), "label": ClassLabel(names=class_names)}))
