//! What every connection of the model shares, and the way of one request through it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Result;
use tokio::time::sleep;

use super::answer::Answer;
use super::auth;
use super::call::{Call, Target};
use super::clock::Clock;
use super::costs::{Costs, Fault};
use super::error::Refusal;
use super::observe::Observer;
use super::operation::Operation;
use super::ops::{self, Request};
use super::rules::{Overwrite, Rules};
use super::state::Account;
use super::state::blob::Blob;
use super::state::content::{Content, mix};

/// The service version of answers to requests that name none.
const VERSION: &str = "2021-12-02";

/// The model's state.
pub(crate) struct Shared {
    accounts: RwLock<HashMap<String, Arc<Account>>>,
    costs: RwLock<Arc<Costs>>,
    pub(crate) clock: Clock,
    pub(crate) rules: Rules,
    pub(crate) observer: Observer,
    requests: AtomicU64,
    overwrites: AtomicU64,
}

impl Shared {
    pub(crate) fn new(costs: Costs) -> Self {
        Self {
            accounts: RwLock::default(),
            costs: RwLock::new(Arc::new(costs)),
            clock: Clock::new(),
            rules: Rules::default(),
            observer: Observer::new(),
            requests: AtomicU64::new(0),
            overwrites: AtomicU64::new(0),
        }
    }

    /// One that exists already keeps its containers, and its key.
    pub(crate) fn add_account(&self, name: &str, key_base64: &str) -> Result<()> {
        let account = Arc::new(Account::new(name, key_base64)?);
        self.accounts.write().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_insert(account);
        Ok(())
    }

    pub(crate) fn account(&self, name: &str) -> Result<Arc<Account>, Refusal> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        let missing = || Refusal::new(404, "ResourceNotFound", "The specified resource does not exist.");
        accounts.get(name).cloned().ok_or_else(missing)
    }

    pub(crate) fn costs(&self) -> Arc<Costs> {
        Arc::clone(&self.costs.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_costs(&self, costs: Costs) {
        *self.costs.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(costs);
    }

    /// 503 ServerBusy.
    pub(crate) fn busy(&self) -> Refusal {
        let message = "The server is currently unable to receive requests. Please retry your request.";
        let refusal = Refusal::new(503, "ServerBusy", message);
        match self.costs().retry_after_seconds {
            Some(seconds) => refusal.header("retry-after", seconds.to_string()),
            None => refusal,
        }
    }

    /// Counts what a copy has moved, and changes the sources whose time has come.
    pub(crate) fn count_copy(&self, source: &Target, bytes: u64) {
        self.observer.copied(bytes);
        for rule in self.rules.copied(source) {
            self.overwrite(&rule);
        }
    }

    /// Gives a blob new content and a new ETag.
    fn overwrite(&self, rule: &Overwrite) {
        let Ok(account) = self.account(&rule.account) else { return };
        let seed = mix(0x0DD, self.overwrites.fetch_add(1, Ordering::Relaxed));
        let _ = account.with(&rule.container, |container| {
            let old = container.blob(&rule.name)?.as_ref().clone();
            let content = Content::pattern(seed, rule.size.unwrap_or(old.content.size()));
            let md5 = old.md5.map(|_| content.md5());
            let stamp = self.clock.stamp();
            container.replace(&rule.name, Blob { content, md5, stamp, blocks: None, copy: None, ..old });
            Ok(())
        });
    }

    /// One request: costs, faults and limits first, then whether it may, then what it asks for. `None` when the
    /// connection is to end without an answer.
    pub(crate) async fn answer(self: &Arc<Self>, call: Call) -> Option<Answer> {
        let operation = Operation::of(&call);
        let flight = self.observer.begin(&call, operation);
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let costs = self.costs();
        let half_way = costs.half_round_trip();
        if !half_way.is_zero() {
            sleep(half_way).await;
        }
        let fault = costs.faults.draw(operation, number);
        let result = match fault {
            Some(Fault::Reset) => None,
            Some(Fault::Timeout) => {
                let message = "Operation could not be completed within the specified time.";
                Some(Err(Refusal::new(500, "OperationTimedOut", message)))
            }
            Some(Fault::Busy) => Some(Err(self.busy())),
            Some(Fault::ResetAfter) => {
                drop(self.serve(&costs, &call, operation).await);
                None
            }
            None => Some(self.serve(&costs, &call, operation).await),
        };
        if !half_way.is_zero() {
            sleep(half_way).await;
        }
        let Some(result) = result else {
            self.observer.end(flight, 0, "", 0);
            return None;
        };
        let request_id = format!("{:08x}-001e-0000-0000-{number:012x}", number >> 16);
        let code = result.as_ref().err().map(|refusal| refusal.code).unwrap_or_default();
        let mut answer = result.unwrap_or_else(|refusal| refusal.into_answer(&request_id));
        answer.set("x-ms-request-id", &request_id);
        answer.set("x-ms-version", call.find_header("x-ms-version").unwrap_or(VERSION));
        if let Some(id) = call.find_header("x-ms-client-request-id") {
            answer.set("x-ms-client-request-id", id);
        }
        answer = answer.fixed("server", "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0");
        let sent = if call.method == hyper::Method::HEAD { 0 } else { answer.size() };
        self.observer.end(flight, answer.status.as_u16(), code, sent);
        Some(answer)
    }

    async fn serve(self: &Arc<Self>, costs: &Costs, call: &Call, operation: Operation) -> Result<Answer, Refusal> {
        let account = self.account(&call.target.account)?;
        if !account.requests.take(costs.requests_per_second) {
            return Err(self.busy());
        }
        let grant = auth::verify(&account, call, operation)?;
        ops::serve(Request { shared: self, account: &account, call, grant }, operation).await
    }
}

/// A request's body that was larger than anybody sends.
pub(crate) fn too_large() -> Answer {
    let message = "The request body is too large and exceeds the maximum permissible limit.";
    Refusal::new(413, "RequestBodyTooLarge", message).into_answer("")
}
