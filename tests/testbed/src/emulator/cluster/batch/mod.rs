//! `$batch`: several requests in one body, as the SDKs submit a job with its tasks (contract ams-v2 section 2.3).
//!
//! A change set is carried out in its order and ends at the first refusal, which is then its only answer. What went before
//! stays done, except that a job and its tasks come into being together.

mod mime;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, StatusCode, Uri, header};
use uuid::Uuid;

use super::{Context, answer};
use crate::emulator::doors::gate::Call;
use crate::emulator::doors::reply;
use crate::emulator::jobs;
use crate::emulator::odata::body;
use crate::emulator::odata::format::Format;
use crate::emulator::odata::query;
use crate::emulator::odata::render::{self, Renderer};
use crate::emulator::odata::schema::Set;
use crate::emulator::state::AmsError;
use mime::{Operation, Part};

/// Answers in a batch are entities.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Carries out a batch; its own status is 202, whatever happens inside.
pub(super) async fn run(context: &Context) -> Result<Response<Body>, AmsError> {
    let content_type = context.call.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let text = String::from_utf8_lossy(&context.call.body);
    let parts = mime::parse(content_type.unwrap_or_default(), &text).map_err(AmsError::bad_request)?;
    let boundary = format!("batchresponse_{}", Uuid::new_v4());
    let mut answered = String::new();
    for part in parts {
        answered.push_str(&format!("--{boundary}\r\n"));
        match part {
            Part::Single(operation) => {
                let response = carry_out(context, &operation, &BTreeMap::new()).await;
                answered.push_str(&http_part(response, None).await);
            }
            Part::ChangeSet(operations) => answered.push_str(&change_set(context, &operations).await),
        }
    }
    answered.push_str(&format!("--{boundary}--\r\n"));
    let mut response =
        reply::with_body(202, Some(&format!("multipart/mixed; boundary={boundary}")), Body::from(answered));
    response.headers_mut().insert("DataServiceVersion", header::HeaderValue::from_static("1.0;"));
    Ok(response)
}

/// The answers in a multipart body of their own, or the one refusal.
async fn change_set(context: &Context, operations: &[Operation]) -> String {
    let boundary = format!("changesetresponse_{}", Uuid::new_v4());
    let mut answered = format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n");
    let mut created = BTreeMap::new();
    let mut left: Vec<&Operation> = operations.iter().collect();
    while !left.is_empty() {
        let operation = left.remove(0);
        let tasks = take_tasks(operation, &mut left);
        let responses = if tasks.is_empty() {
            vec![(operation, carry_out(context, operation, &created).await)]
        } else {
            submit(context, operation, &tasks).await
        };
        for (operation, response) in responses {
            if response.status().is_client_error() || response.status().is_server_error() {
                return http_part(response, operation.content_id.as_deref()).await;
            }
            let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            if let (Some(id), Some(location)) = (&operation.content_id, location) {
                created.insert(id.clone(), location.trim_start_matches(&context.renderer.root).to_owned());
            }
            let part = http_part(response, operation.content_id.as_deref()).await;
            answered.push_str(&format!("--{boundary}\r\n{part}"));
        }
    }
    answered.push_str(&format!("--{boundary}--\r\n"));
    answered
}

/// Takes the tasks of a new job out of what is left to do: they are posted to `$<id of the job's request>/Tasks`.
fn take_tasks<'a>(job: &Operation, left: &mut Vec<&'a Operation>) -> Vec<&'a Operation> {
    let Some(id) = job.content_id.as_deref().filter(|_| job.method == "POST" && below_root(&job.target) == "Jobs")
    else {
        return Vec::new();
    };
    let target = format!("${id}/Tasks");
    let (tasks, others) =
        std::mem::take(left).into_iter().partition(|one| one.method == "POST" && below_root(&one.target) == target);
    *left = others;
    tasks
}

/// Creates a job with tasks from several requests.
async fn submit<'a>(
    context: &Context,
    job: &'a Operation,
    tasks: &[&'a Operation],
) -> Vec<(&'a Operation, Response<Body>)> {
    match submit_parsed(context, job, tasks).await {
        Ok(responses) => std::iter::once(job).chain(tasks.iter().copied()).zip(responses).collect(),
        Err(error) => vec![(job, render::error(&error, Format::of_accept(&job.headers).unwrap_or(Format::Verbose)))],
    }
}

async fn submit_parsed(
    context: &Context,
    job: &Operation,
    tasks: &[&Operation],
) -> Result<Vec<Response<Body>>, AmsError> {
    let renderer_of = |operation: &Operation| -> Result<Renderer, AmsError> {
        Ok(Renderer { format: Format::of_accept(&operation.headers)?, ..context.renderer.clone() })
    };
    let mut input = body::parse(&job.body, Format::of_content(&job.headers)?, Set::Jobs)?;
    let mut renderers = vec![renderer_of(job)?];
    let inline = input.tasks.len();
    for task in tasks {
        renderers.push(renderer_of(task)?);
        input.tasks.push(body::parse(&task.body, Format::of_content(&task.headers)?, Set::Tasks)?);
    }
    let job = jobs::create(&context.shared, &context.account, &input).await?;
    let created = context.with_account(|account| {
        let tasks = job.links("Tasks").iter().skip(inline);
        tasks.map(|id| account.find(Set::Tasks, id).cloned()).collect::<Result<Vec<_>, _>>()
    })?;
    let entities = std::iter::once(&job).chain(&created);
    Ok(renderers.iter().zip(entities).map(|(renderer, entity)| renderer.created(entity)).collect())
}

/// Carries out one request as if it had come alone, but for the token and the version, which are the batch's.
async fn carry_out(context: &Context, operation: &Operation, created: &BTreeMap<String, String>) -> Response<Body> {
    let format = Format::of_accept(&operation.headers).unwrap_or(Format::Verbose);
    let Some(inner) = inner_context(context, operation, created, format) else {
        let text = format!("'{}' is not a target that a batch may hold", operation.target);
        return render::error(&AmsError::bad_request(text), format);
    };
    // a batch may not hold a batch, so this goes one level deep
    Box::pin(answer(inner)).await.unwrap_or_else(|error| render::error(&error, format))
}

fn inner_context(
    context: &Context,
    operation: &Operation,
    created: &BTreeMap<String, String>,
    format: Format,
) -> Option<Context> {
    let mut below = below_root(&operation.target).to_owned();
    if let Some(rest) = below.strip_prefix('$') {
        let (id, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if let Some(entity) = created.get(id) {
            below = format!("{entity}{tail}");
        }
    }
    if below.starts_with("$batch") {
        return None;
    }
    let uri: Uri = format!("/api/{below}").parse().ok()?;
    let mut request = context.call.request.clone();
    request.method.clone_from(&operation.method);
    let pairs = query::pairs(uri.query());
    Some(Context {
        shared: Arc::clone(&context.shared),
        call: Call { request, uri, headers: operation.headers.clone(), body: operation.body.clone() },
        account: context.account.clone(),
        renderer: Renderer { format, ..context.renderer.clone() },
        pairs,
    })
}

/// The target below the service root: absolute URLs and absolute paths lose everything up to `/api/`.
fn below_root(target: &str) -> &str {
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => target,
    };
    let Some(path) = path.strip_prefix('/') else { return path };
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    if first.eq_ignore_ascii_case("api") { rest.trim_start_matches('/') } else { path }
}

/// One answer as a part: `application/http` and in it the response.
async fn http_part(response: Response<Body>, content_id: Option<&str>) -> String {
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, MAX_ANSWER_BYTES).await.unwrap_or_default();
    let mut text = format!(
        "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nHTTP/1.1 {} {}\r\n",
        parts.status.as_u16(),
        parts.status.canonical_reason().unwrap_or(StatusCode::INTERNAL_SERVER_ERROR.as_str())
    );
    if let Some(id) = content_id {
        text.push_str(&format!("Content-ID: {id}\r\n"));
    }
    for (name, value) in &parts.headers {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap_or_default()));
    }
    text.push_str(&format!("\r\n{}\r\n", String::from_utf8_lossy(&body)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_lose_what_stands_before_the_root() {
        for target in ["https://host/api/Jobs", "/API/Jobs", "Jobs", "https://host:1/api//Jobs", "/Jobs"] {
            assert_eq!(below_root(target), "Jobs", "{target}");
        }
        assert_eq!(below_root("https://host/api/$1/Tasks"), "$1/Tasks");
        assert_eq!(below_root("$1/Tasks"), "$1/Tasks");
    }
}
