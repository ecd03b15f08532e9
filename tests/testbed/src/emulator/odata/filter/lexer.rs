//! Cuts a `$filter` text into tokens.

use super::super::dates;
use super::super::edm::Edm;

/// One token of a filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    Literal(Edm),
    Open,
    Close,
    Comma,
}

/// Tokenises; the error is the text for a 400 answer.
pub(super) fn tokenise(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '\'' => quoted(rest).map(|(text, length)| (Token::Literal(Edm::Text(text)), length))?,
            _ => word_or_literal(rest)?,
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// A quoted string at the start of `text`, with `''` undone, and its length in bytes.
fn quoted(text: &str) -> Result<(String, usize), String> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character != '\'' {
            value.push(character);
        } else if characters.next_if(|(_, next)| *next == '\'').is_some() {
            value.push('\'');
        } else {
            return Ok((value, at + 1));
        }
    }
    Err(format!("the string in the filter is not closed: {text}"))
}

fn word_or_literal(rest: &str) -> Result<(Token, usize), String> {
    let length = rest.find([' ', '\t', '(', ')', ',', '\'']).unwrap_or(rest.len());
    let word = &rest[..length];
    if rest[length..].starts_with('\'') {
        let (text, quoted_length) = quoted(&rest[length..])?;
        let literal = match word {
            "datetime" | "datetimeoffset" => {
                dates::parse(&text).map(Edm::DateTime).ok_or_else(|| format!("not a date: '{text}'"))?
            }
            "guid" => Edm::Text(text),
            _ => return Err(format!("a literal of type '{word}' is not supported")),
        };
        return Ok((Token::Literal(literal), length + quoted_length));
    }
    let token = match word {
        "true" => Token::Literal(Edm::Boolean(true)),
        "false" => Token::Literal(Edm::Boolean(false)),
        "null" => Token::Literal(Edm::Null),
        _ if word.starts_with(|first: char| first.is_ascii_digit() || first == '-') => Token::Literal(number(word)?),
        _ if word.starts_with(|first: char| first.is_ascii_alphabetic()) => Token::Word(word.to_owned()),
        _ => return Err(format!("unexpected '{word}' in the filter")),
    };
    Ok((token, length))
}

/// `5`, `5L`, `5.5`, `5.5d`, `5M`.
fn number(word: &str) -> Result<Edm, String> {
    let digits = word.trim_end_matches(['L', 'l', 'M', 'm', 'D', 'd', 'F', 'f']);
    let integer = digits.parse().map(Edm::Int64);
    integer.or_else(|_| digits.parse().map(Edm::Double)).map_err(|_| format!("not a number: '{word}'"))
}
