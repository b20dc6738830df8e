"""Files of the lake that are no tables: look at them, change them, remove them, wherever the lake lies."""

from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType

from storage.lake import Lake


def listed(lake: Lake, *parts: str) -> dict[str, int]:
    """The files below a folder of the lake, by their path in it, with their bytes; none where there is no folder."""
    system, root = _place(lake, *parts)
    found: list[FileInfo] = system.get_file_info(FileSelector(root, allow_not_found=True, recursive=True))
    files = [info for info in found if info.type == FileType.File]
    return {info.path.removeprefix(root).lstrip("/"): int(info.size) for info in files}


def read(lake: Lake, *parts: str) -> bytes | None:
    """What is in a file; None where there is none."""
    system, path = _place(lake, *parts)
    if system.get_file_info(path).type != FileType.File:
        return None
    with system.open_input_stream(path) as file:
        return bytes(file.read())


def write(lake: Lake, data: bytes, *parts: str) -> None:
    """Write a file; in an object store a copy of it on this machine is written, too."""
    system, path = _place(lake, *parts)
    with system.open_output_stream(path) as file:
        file.write(data)
    if not lake.is_local and (copy := lake.local(*parts)).exists():
        copy.write_bytes(data)


def remove(lake: Lake, *parts: str) -> int:
    """Remove a folder with all that is in it, also its copy on this machine, and say how many bytes it had."""
    freed = sum(listed(lake, *parts).values())
    places = [_place(lake, *parts), (FileSystem.from_uri(lake.local(*parts).as_uri()))]
    for system, path in places:
        if system.get_file_info(path).type == FileType.Directory:
            system.delete_dir(path)
    return freed


def _place(lake: Lake, *parts: str) -> tuple[FileSystem, str]:
    path = lake.path(*parts)
    system, root = FileSystem.from_uri(lake.local(*parts).as_uri() if lake.is_local else path)
    return system, str(root)
