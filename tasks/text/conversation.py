"""Parts of a conversation, as Polars expressions over a `messages` column."""

import polars as pl

_FIELDS = pl.element().struct


def contents(messages: str = "messages", *roles: str) -> pl.Expr:
    """The texts of the messages of `roles` (all when none is named): list[str]."""
    column = pl.col(messages)
    if roles:
        column = column.list.eval(pl.element().filter(_FIELDS.field("role").is_in(list(roles))))
    return column.list.eval(_FIELDS.field("content").fill_null(""))


def user_text(messages: str = "messages") -> pl.Expr:
    """All that the user wrote (for a document: its text), one turn a line."""
    return contents(messages, "user", "document").list.join("\n")


def whole_text(messages: str = "messages") -> pl.Expr:
    """Every turn's text, one a line, roles left out."""
    return contents(messages).list.join("\n")


def dialogue(messages: str = "messages") -> pl.Expr:
    """What users, assistants and documents say, one turn a line; system prompts and tools' output left out."""
    return contents(messages, "user", "assistant", "document").list.join("\n")


def last_answer(messages: str = "messages") -> pl.Expr:
    """The last message's text if the assistant wrote it, else null."""
    last = pl.col(messages).list.last()
    return pl.when(last.struct.field("role") == "assistant").then(last.struct.field("content"))


def prompt(messages: str = "messages") -> pl.Expr:
    """What came before the last answer: list[message]."""
    return pl.col(messages).list.head(pl.col(messages).list.len() - 1)
