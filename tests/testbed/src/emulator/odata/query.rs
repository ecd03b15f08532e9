//! Query options: parsed from the URL and applied to a list of entities.

use std::cmp::Ordering;

use super::filter::{self, Expression};
use super::schema::Schema;
use crate::emulator::state::{AmsError, Entity};

/// The query options of a request.
#[derive(Debug, Default)]
pub(crate) struct Query {
    filter: Option<Expression>,
    order_by: Vec<(&'static str, bool)>,
    top: Option<usize>,
    skip: usize,
    select: Option<Vec<&'static str>>,
    inline_count: bool,
}

/// What a query found.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) entities: Vec<Entity>,
    /// How many pass the filter, where the request asked to know.
    pub(crate) count: Option<usize>,
    /// How many entities to skip to get the next page, where there is one.
    pub(crate) next_skip: Option<usize>,
}

impl Query {
    /// Reads the options of a URL; options without `$` are left to functions.
    pub(crate) fn parse(pairs: &[(String, String)], schema: &'static Schema) -> Result<Self, AmsError> {
        let mut query = Self::default();
        for (name, value) in pairs.iter().filter(|(name, _)| name.starts_with('$')) {
            let number = || value.trim().parse().map_err(|_| AmsError::bad_request(format!("{name} must be a number")));
            match name.as_str() {
                "$filter" => query.filter = Some(filter::parse(value, schema).map_err(AmsError::bad_request)?),
                "$orderby" => query.order_by = parse_order(value, schema)?,
                "$top" => query.top = Some(number()?),
                "$skip" => query.skip = number()?,
                "$select" => query.select = parse_select(value, schema)?,
                "$inlinecount" => query.inline_count = value == "allpages",
                _ => return Err(AmsError::bad_request(format!("the query option '{name}' is not supported"))),
            }
        }
        Ok(query)
    }

    /// Which properties the reply shows; `None` is all.
    pub(crate) fn select(&self) -> Option<&[&'static str]> {
        self.select.as_deref()
    }

    /// Filters, orders and cuts to at most one page.
    pub(crate) fn apply(&self, entities: Vec<Entity>, page_size: usize) -> Result<Page, AmsError> {
        let mut entities = self.filtered(entities)?;
        entities.sort_by(|left, right| self.order(left, right));
        let total = entities.len();
        let wanted = self.top.unwrap_or(usize::MAX);
        let entities: Vec<Entity> = entities.into_iter().skip(self.skip).take(wanted.min(page_size)).collect();
        let end = self.skip + entities.len();
        let more = entities.len() == page_size && wanted > page_size && end < total;
        Ok(Page { entities, count: self.inline_count.then_some(total), next_skip: more.then_some(end) })
    }

    /// How many entities pass the filter, for `/$count`.
    pub(crate) fn count(&self, entities: Vec<Entity>) -> Result<usize, AmsError> {
        Ok(self.filtered(entities)?.len())
    }

    fn filtered(&self, entities: Vec<Entity>) -> Result<Vec<Entity>, AmsError> {
        let Some(filter) = &self.filter else { return Ok(entities) };
        let mut kept = Vec::new();
        for entity in entities {
            if filter.accepts(&|name| entity.value(name)).map_err(AmsError::bad_request)? {
                kept.push(entity);
            }
        }
        Ok(kept)
    }

    fn order(&self, left: &Entity, right: &Entity) -> Ordering {
        self.order_by
            .iter()
            .map(|(name, descending)| {
                let ordering = left.value(name).compare(right.value(name)).unwrap_or(Ordering::Equal);
                if *descending { ordering.reverse() } else { ordering }
            })
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

fn known(name: &str, schema: &'static Schema) -> Result<&'static str, AmsError> {
    let unknown = || format!("no property '{name}' exists in type '{}'", super::render::qualified(schema));
    schema.property(name).map(|property| property.name).ok_or_else(|| AmsError::bad_request(unknown()))
}

fn parse_order(text: &str, schema: &'static Schema) -> Result<Vec<(&'static str, bool)>, AmsError> {
    text.split(',')
        .map(|item| {
            let mut words = item.split_whitespace();
            let name = known(words.next().unwrap_or_default(), schema)?;
            match words.next() {
                None | Some("asc") => Ok((name, false)),
                Some("desc") => Ok((name, true)),
                Some(word) => Err(AmsError::bad_request(format!("unexpected '{word}' in $orderby"))),
            }
        })
        .collect()
}

fn parse_select(text: &str, schema: &'static Schema) -> Result<Option<Vec<&'static str>>, AmsError> {
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    if names.contains(&"*") {
        return Ok(None);
    }
    names.into_iter().map(|name| known(name, schema)).collect::<Result<_, _>>().map(Some)
}

/// Splits the query text of a URL into decoded pairs.
pub(crate) fn pairs(raw: Option<&str>) -> Vec<(String, String)> {
    url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()).into_owned().collect()
}

/// The value of an option outside OData, such as `assetid`, without its quotes; names ignore case.
pub(crate) fn argument(pairs: &[(String, String)], name: &str) -> Option<String> {
    let (_, value) = pairs.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    let inner = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    Some(inner.unwrap_or(value).replace("''", "'"))
}
