//! `$filter`: what LINQ providers and the old walkthrough send, and a clear 400 for the rest (contract ams-v2 section 2.3).

mod lexer;
mod parser;

use std::cmp::Ordering;

use super::edm::Edm;
use super::schema::Schema;

/// A parsed filter.
#[derive(Debug)]
pub(crate) enum Expression {
    Literal(Edm),
    Property(&'static str),
    Compare(Box<Expression>, &'static [Ordering], Box<Expression>),
    Text(Box<Expression>, fn(&str, &str) -> bool, Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
}

/// Parses a filter against the properties of one entity type; the error is the text for a 400 answer.
pub(crate) fn parse(text: &str, schema: &'static Schema) -> Result<Expression, String> {
    let tokens = lexer::tokenise(text)?;
    parser::Parser { tokens: &tokens, schema }.whole()
}

impl Expression {
    /// Whether an entity passes; `value_of` gives its property values.
    pub(crate) fn accepts<'a>(&self, value_of: &impl Fn(&'static str) -> &'a Edm) -> Result<bool, String> {
        match self.evaluate(value_of)? {
            Edm::Boolean(accepted) => Ok(accepted),
            Edm::Null => Ok(false),
            other => Err(format!("the filter is not a condition: it gives {other:?}")),
        }
    }

    fn evaluate<'a>(&self, value_of: &impl Fn(&'static str) -> &'a Edm) -> Result<Edm, String> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Property(name) => value_of(name).clone(),
            Self::Compare(left, accepted, right) => {
                let (left, right) = (left.evaluate(value_of)?, right.evaluate(value_of)?);
                let null_order = (left == Edm::Null) != (right == Edm::Null) && accepted.len() == 1;
                Edm::Boolean(!null_order && parser::compare(&left, accepted, &right)?)
            }
            Self::Text(whole, test, part) => match (whole.evaluate(value_of)?, part.evaluate(value_of)?) {
                (Edm::Text(whole), Edm::Text(part)) => Edm::Boolean(test(&whole, &part)),
                (Edm::Null, _) | (_, Edm::Null) => Edm::Null,
                _ => return Err("a text function in the filter got something that is not a string".to_owned()),
            },
            Self::And(left, right) => Edm::Boolean(left.accepts(value_of)? && right.accepts(value_of)?),
            Self::Or(left, right) => Edm::Boolean(left.accepts(value_of)? || right.accepts(value_of)?),
            Self::Not(inner) => Edm::Boolean(!inner.accepts(value_of)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::Set;
    use super::*;
    use time::macros::datetime;

    fn accepts(filter: &str) -> Result<bool, String> {
        let values = [
            ("Id", Edm::Text("nb:cid:UUID:1".into())),
            ("Name", Edm::Text("Bob's clip.ism".into())),
            ("ContentFileSize", Edm::Int64(2311)),
            ("IsPrimary", Edm::Boolean(true)),
            ("Created", Edm::DateTime(datetime!(2017-02-21 12:00 UTC))),
        ];
        parse(filter, Set::Files.schema())?
            .accepts(&|name| values.iter().find(|(known, _)| *known == name).map_or(&Edm::Null, |(_, value)| value))
    }

    #[test]
    fn accepts_what_clients_send() {
        for filter in [
            "Id eq 'nb:cid:UUID:1'",
            "startswith(Name,'Bob''s')",
            "startswith(Name, 'Bob') eq true",
            "endswith(Name,'.ism') and IsPrimary eq true",
            "substringof('clip', Name)",
            "not (Name eq 'x') and not endswith(Name,'.mp4')",
            "ContentFileSize ge 2311 and ContentFileSize lt 2312L",
            "Name eq 'x' or (ContentFileSize gt 1 and IsPrimary)",
            "Created lt datetime'2017-02-21T12:00:00.001' and Created ge datetime'2017-02-21T12:00:00Z'",
            "MimeType eq null",
            "MimeType ne 'video/mp4'",
            "false eq IsPrimary or true",
        ] {
            assert_eq!(accepts(filter), Ok(true), "{filter}");
        }
        for filter in [
            "Name eq 'bob'",
            "MimeType eq 'x'",
            "startswith(MimeType,'x')",
            "ContentFileSize gt 2311",
            "MimeType lt 'x'",
        ] {
            assert_eq!(accepts(filter), Ok(false), "{filter}");
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for filter in [
            "",
            "Colour eq 'x'",
            "Name eq",
            "Name eq 'x",
            "(Name eq 'x'",
            "tolower(Name) eq 'x'",
            "Name eq 5",
            "Name",
            "Name eq 'x' Name",
            "length(Name) gt 5",
            "Created gt datetime'soon'",
        ] {
            assert!(accepts(filter).is_err(), "{filter}");
        }
    }
}
