//! The service's refusals: status, code, text, and the headers that go with them ("Blob service error codes", Azure REST).

use std::borrow::Cow;

use super::answer::Answer;

/// The service says no.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    message: Cow<'static, str>,
    headers: Vec<(&'static str, String)>,
    /// More elements of the body.
    details: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new(), details: Vec::new() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn detail(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    /// What the copy's target answers when its source refuses with this.
    pub(crate) fn of_copy_source(self) -> Self {
        let status = self.status.to_string();
        Self::new(self.status, "CannotVerifyCopySource", self.message.clone())
            .header("x-ms-copy-source-status-code", status.as_str())
            .header("x-ms-copy-source-error-code", self.code)
            .detail("CopySourceStatusCode", status.as_str())
            .detail("CopySourceErrorCode", self.code)
            .detail("CopySourceErrorMessage", self.message)
    }

    /// The answer. HEAD has no body, so its code is in the header alone.
    pub(crate) fn into_answer(self, request_id: &str) -> Answer {
        let mut body = String::from("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>");
        body.push_str(self.code);
        body.push_str("</Code><Message>");
        super::xml::escape_into(&mut body, &self.message);
        body.push_str(&format!(
            "\nRequestId:{request_id}\nTime:{}</Message>",
            super::clock::http_date(super::clock::now())
        ));
        for (name, value) in &self.details {
            super::xml::element(&mut body, name, value);
        }
        body.push_str("</Error>");
        let mut answer = Answer::new(self.status).header("x-ms-error-code", self.code);
        for (name, value) in &self.headers {
            answer = answer.header(name, value);
        }
        // 304 is an answer without a body
        if self.status == 304 { answer } else { answer.xml(body) }
    }

    pub(crate) fn container_not_found() -> Self {
        Self::new(404, "ContainerNotFound", "The specified container does not exist.")
    }

    pub(crate) fn blob_not_found() -> Self {
        Self::new(404, "BlobNotFound", "The specified blob does not exist.")
    }

    pub(crate) fn condition_not_met() -> Self {
        Self::new(412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.")
    }

    pub(crate) fn invalid_header(name: &str) -> Self {
        Self::new(400, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format.")
            .detail("HeaderName", name)
    }

    pub(crate) fn missing_header(name: &str) -> Self {
        Self::new(400, "MissingRequiredHeader", "An HTTP header that's mandatory for this request is not specified.")
            .detail("HeaderName", name)
    }

    pub(crate) fn invalid_query(name: &str) -> Self {
        Self::new(400, "InvalidQueryParameterValue", "Value for one of the query parameters specified is invalid.")
            .detail("QueryParameterName", name)
    }

    pub(crate) fn out_of_range_query(name: &str) -> Self {
        Self::new(400, "OutOfRangeQueryParameterValue", "One of the query parameters is out of its permissible range.")
            .detail("QueryParameterName", name)
    }

    pub(crate) fn invalid_range() -> Self {
        Self::new(416, "InvalidRange", "The range specified is invalid for the current size of the resource.")
    }

    pub(crate) fn md5_mismatch() -> Self {
        Self::new(400, "Md5Mismatch", "The MD5 value specified in the request did not match what the service computed.")
    }

    pub(crate) fn pending_copy() -> Self {
        Self::new(409, "PendingCopyOperation", "There is currently a pending copy operation.")
    }

    pub(crate) fn not_implemented() -> Self {
        Self::new(501, "APINotImplemented", "Current API is not implemented.")
    }
}
