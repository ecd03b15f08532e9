//! Query options: parsed from the URL and applied to a list of entities.

use std::cmp::Ordering;

use super::edm::Edm;
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
        let entities = self.filtered(entities)?;
        let total = entities.len();
        let wanted = self.top.unwrap_or(usize::MAX);
        let begin = self.skip.min(total);
        let end = begin.saturating_add(wanted.min(page_size)).min(total);
        let entities = self.window(entities, begin, end);
        let more = entities.len() == page_size && wanted > page_size && end < total;
        Ok(Page { entities, count: self.inline_count.then_some(total), next_skip: more.then_some(end) })
    }

    /// The entities from `begin` to `end` in the wanted order. There may be tens of thousands: their first key is looked up
    /// once, and only the window is put in order.
    fn window(&self, mut entities: Vec<Entity>, begin: usize, end: usize) -> Vec<Entity> {
        let Some((first, _)) = self.order_by.first() else { return entities.drain(begin..end).collect() };
        let mut keys: Vec<_> = entities.iter().map(|entity| entity.value(first)).enumerate().collect();
        let by_order = |left: &(usize, &Edm), right: &(usize, &Edm)| {
            let of_first = self.order_of(0, left.1, right.1);
            let by_rest = || self.order(&entities[left.0], &entities[right.0]);
            of_first.then_with(by_rest).then(left.0.cmp(&right.0))
        };
        if end < keys.len() {
            keys.select_nth_unstable_by(end, by_order);
            keys.truncate(end);
        }
        if begin < keys.len() {
            keys.select_nth_unstable_by(begin, by_order);
        }
        let window = &mut keys[begin..];
        window.sort_unstable_by(by_order);
        window.iter().map(|(at, _)| entities[*at].clone()).collect()
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
        let each = self.order_by.iter().enumerate();
        let mut orders = each.map(|(at, (name, _))| self.order_of(at, left.value(name), right.value(name)));
        orders.find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// Two values of the property that is ordered by in this place.
    fn order_of(&self, at: usize, left: &Edm, right: &Edm) -> Ordering {
        let ordering = left.compare(right).unwrap_or(Ordering::Equal);
        if self.order_by[at].1 { ordering.reverse() } else { ordering }
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
