"""What tests need to know of Markdown: pages, headings, links, code blocks, sentences."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md")),
    *PAGES,
]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```\n?", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A code block: its page, the line that it begins at, its language and its text."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The file that its first line, such as `# plan.yaml`, says it is."""
        match = re.match(r"# ([\w./-]+\.(?:py|yaml))\n", self.text)
        return match and match[1]

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"{name(self.page)}:{self.line}"


def name(page: Path) -> str:
    """Return a page's name below the root."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page in their order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for match in _FENCE.finditer(text)
    ]


def prose(text: str) -> str:
    """Return a Markdown text without its code blocks."""
    return _FENCE.sub("\n", text)


def anchors(page: Path) -> set[str]:
    """Return what links into a page may name: its headings as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and pictures that are no web addresses."""
    text = prose(page.read_text(encoding="utf-8"))
    return re.findall(r"\]\((?!https?:)([^)\s]+)\)", text)


def paragraphs(text: str) -> list[str]:
    """Return what people read of a Markdown text, one line each: no code, tables or headings."""
    kept = [
        "" if re.match(r"\s*(\||#)", line) else re.sub(r"^\s*([-*]|\d+\.) ", "\n", line)
        for line in prose(text).splitlines()
    ]
    return [
        " ".join(part.split()) for part in re.split(r"\n\s*\n", "\n".join(kept)) if part.strip()
    ]


def sentences(paragraph: str) -> list[str]:
    """Return the sentences of a paragraph; inline code is one word, a link is its text."""
    text = re.sub(r"!?\[(.*?)\]\([^)]*\)", r"\1", paragraph)
    text = re.sub(r"`[^`]*`", "Code", text)
    text = re.sub(r"\b(et al|e\.g|i\.e|vs)\.", r"\1", text)
    return re.split(r"(?<=[^.][.!?])[\"')*_]*\s+", text)


def words(sentence: str) -> int:
    """Return the number of words of a sentence; a sign between spaces is none."""
    return sum(any(map(str.isalnum, word)) for word in sentence.split())
