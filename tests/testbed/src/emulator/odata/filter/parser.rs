//! Parses filter tokens into an expression: `or` binds loosest, then `and`, `not`, the comparisons.

use std::cmp::Ordering;

use super::super::edm::Edm;
use super::super::schema::Schema;
use super::Expression;
use super::lexer::Token;

/// A cursor over the tokens.
pub(super) struct Parser<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) schema: &'static Schema,
}

/// A comparison operator, as the set of orderings that satisfy it.
pub(super) fn orderings(operator: &str) -> Option<&'static [Ordering]> {
    Some(match operator {
        "eq" => &[Ordering::Equal],
        "ne" => &[Ordering::Less, Ordering::Greater],
        "lt" => &[Ordering::Less],
        "le" => &[Ordering::Less, Ordering::Equal],
        "gt" => &[Ordering::Greater],
        "ge" => &[Ordering::Greater, Ordering::Equal],
        _ => return None,
    })
}

impl Parser<'_> {
    /// The whole filter.
    pub(super) fn whole(&mut self) -> Result<Expression, String> {
        let expression = self.either()?;
        match self.tokens.first() {
            None => Ok(expression),
            Some(token) => Err(format!("unexpected {token:?} in the filter")),
        }
    }

    fn either(&mut self) -> Result<Expression, String> {
        let mut left = self.both()?;
        while self.word("or") {
            left = Expression::Or(Box::new(left), Box::new(self.both()?));
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Expression, String> {
        let mut left = self.negation()?;
        while self.word("and") {
            left = Expression::And(Box::new(left), Box::new(self.negation()?));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Expression, String> {
        if self.word("not") {
            return Ok(Expression::Not(Box::new(self.negation()?)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Expression, String> {
        let left = self.operand()?;
        let Some(Token::Word(word)) = self.tokens.first() else { return Ok(left) };
        let Some(accepted) = orderings(word) else { return Ok(left) };
        self.tokens = &self.tokens[1..];
        Ok(Expression::Compare(Box::new(left), accepted, Box::new(self.operand()?)))
    }

    fn operand(&mut self) -> Result<Expression, String> {
        let (token, rest) = self.tokens.split_first().ok_or("the filter ends too early")?;
        self.tokens = rest;
        match token {
            Token::Open => {
                let inner = self.either()?;
                self.expect(&Token::Close)?;
                Ok(inner)
            }
            Token::Literal(value) => Ok(Expression::Literal(value.clone())),
            Token::Word(name) if self.tokens.first() == Some(&Token::Open) => self.call(name),
            Token::Word(name) => match self.schema.property(name) {
                Some(property) => Ok(Expression::Property(property.name)),
                None => Err(format!(
                    "no property '{name}' exists in type '{}'",
                    super::super::render::qualified(self.schema)
                )),
            },
            Token::Close | Token::Comma => Err(format!("unexpected {token:?} in the filter")),
        }
    }

    fn call(&mut self, name: &str) -> Result<Expression, String> {
        self.expect(&Token::Open)?;
        let first = self.operand()?;
        self.expect(&Token::Comma)?;
        let second = self.operand()?;
        self.expect(&Token::Close)?;
        let (whole, part, test): (_, _, fn(&str, &str) -> bool) = match name {
            "startswith" => (first, second, |whole, part| whole.starts_with(part)),
            "endswith" => (first, second, |whole, part| whole.ends_with(part)),
            "substringof" => (second, first, |whole, part| whole.contains(part)),
            _ => return Err(format!("the function '{name}' is not supported in a filter")),
        };
        Ok(Expression::Text(Box::new(whole), test, Box::new(part)))
    }

    fn word(&mut self, expected: &str) -> bool {
        let found = matches!(self.tokens.first(), Some(Token::Word(word)) if word == expected);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn expect(&mut self, expected: &Token) -> Result<(), String> {
        match self.tokens.split_first() {
            Some((token, rest)) if token == expected => {
                self.tokens = rest;
                Ok(())
            }
            Some((token, _)) => Err(format!("expected {expected:?} in the filter, found {token:?}")),
            None => Err(format!("expected {expected:?} at the end of the filter")),
        }
    }
}

/// `null` compares with everything; everything else must be of one family.
pub(super) fn compare(left: &Edm, accepted: &[Ordering], right: &Edm) -> Result<bool, String> {
    let ordering = left
        .compare(right)
        .ok_or_else(|| format!("the operands of a comparison have different types: {left:?} and {right:?}"))?;
    Ok(accepted.contains(&ordering))
}
