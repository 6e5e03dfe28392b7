//! The operations of sessions and tokens. Those that take or give secrets are internal: the routes in `http.rs` alone call
//! them, so that no model is offered a tool that asks for a password, and no token leaves but in its cookie or answer.

use crate::authenticator::Authenticator;
use crate::session_model::{
    AcceptLink, EndSession, LookAtLink, Purged, RefreshTokens, SignIn, SwitchSession, ThisSession,
};
use crate::sessions::NewSession;
use crate::{caller, owner_links, refresh, sessions, sign_in};
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_ops::Outcome::{Done, Refused};
use synapscale_ops::{Method, NoInput, Operation, Prepare, RateClass};
use synapscale_store::Tx;

/// The names that the routes call.
pub mod names {
    pub const SIGN_IN: &str = "sessions.sign_in";
    pub const CURRENT: &str = "sessions.current";
    pub const END: &str = "sessions.end";
    pub const END_ALL: &str = "sessions.end_all";
    pub const SWITCH: &str = "sessions.switch";
    pub const LOOK: &str = "owner_links.look";
    pub const ACCEPT: &str = "owner_links.accept";
    pub const TOKENS: &str = "tokens.create";
    pub const REFRESH: &str = "tokens.refresh";
}

/// All of them.
pub fn operations(auth: &Authenticator) -> Vec<Operation> {
    vec![
        sign_in_op(auth.clone()),
        current(auth.clone()),
        list(),
        end(auth.clone()),
        end_all(auth.clone()),
        switch(auth.clone()),
        purge(),
        look(),
        accept(auth.clone()),
        create_tokens(auth.clone()),
        refresh_tokens(auth.clone()),
    ]
}

fn sign_in_op(auth: Authenticator) -> Operation {
    let checking = auth.clone();
    Operation::write(names::SIGN_IN, "Sign in")
        .about(
            "Opens a session by e-mail address and password. Five failures in a row lock an address for 15 \
             minutes. A session lasts 30 days at most, and 7 days without use.",
        )
        .public()
        .internal()
        .rate(RateClass::SignIn)
        .elevated()
        .prepare_with(move |cx: Prepare, input: SignIn| {
            let auth = checking.clone();
            async move { sign_in::check(&auth, &cx, input).await }
        })
        .handle(move |tx: Tx, attempt: Arc<sign_in::Attempt>| {
            let auth = auth.clone();
            async move {
                let admitted = match sign_in::settle(&tx, &auth, &attempt).await? {
                    Ok(admitted) => admitted,
                    Err(refusal) => return Ok(Refused(refusal)),
                };
                let new = NewSession {
                    user_id: admitted.user_id,
                    workspace_id: admitted.workspace_id,
                    user_agent: attempt.user_agent.as_deref(),
                    expires_at: None,
                };
                sessions::start(&tx, &auth, new).await.map(Done)
            }
        })
}

fn current(auth: Authenticator) -> Operation {
    Operation::read(names::CURRENT, "Show the session")
        .about("Shows who is signed in, in which workspace, and what they may do there.")
        .permission("users:read")
        .internal()
        .rate(RateClass::Light)
        .elevated()
        .handle(move |tx: Tx, input: Arc<ThisSession>| {
            let auth = auth.clone();
            async move { sessions::current(&tx, &auth, input.session_id).await }
        })
}

fn list() -> Operation {
    Operation::read("sessions.list", "List your sessions")
        .about("Lists the caller's open sessions in browsers, in all workspaces, the newest first.")
        .permission("users:read")
        .rest(Method::GET, "/sessions")
        .elevated()
        .handle(|tx: Tx, _: Arc<NoInput>| async move { sessions::list(&tx).await })
}

fn end(auth: Authenticator) -> Operation {
    Operation::write(names::END, "End a session")
        .about(
            "Signs one of the caller's browsers out: at once on the server that is asked, within 30 seconds \
             on others.",
        )
        .permission("users:write")
        .rest(Method::DELETE, "/sessions/{session_id}")
        .destructive()
        .elevated()
        .handle(move |tx: Tx, input: Arc<EndSession>| {
            let auth = auth.clone();
            async move { sessions::end(&tx, &auth, input.session_id).await.map(Done) }
        })
}

fn end_all(auth: Authenticator) -> Operation {
    Operation::write(names::END_ALL, "Sign out everywhere")
        .about("Ends all sessions and refresh tokens of the caller, in all workspaces. API keys stay.")
        .permission("users:write")
        .rest(Method::DELETE, "/sessions")
        .destructive()
        .elevated()
        .handle(move |tx: Tx, _: Arc<NoInput>| {
            let auth = auth.clone();
            async move {
                let user_id = caller::user_of(tx.ctx())?;
                sessions::end_all(&tx, &auth, user_id).await.map(Done)
            }
        })
}

fn switch(auth: Authenticator) -> Operation {
    Operation::write(names::SWITCH, "Open another workspace")
        .about("Ends the session and opens one in another workspace of the caller's, which lasts no longer.")
        .permission("users:read")
        .internal()
        .elevated()
        .handle(move |tx: Tx, input: Arc<SwitchSession>| {
            let auth = auth.clone();
            async move {
                let agent = input.user_agent.as_deref();
                sessions::switch(&tx, &auth, input.session_id, input.workspace_id, agent)
                    .await
                    .map(Done)
            }
        })
}

fn purge() -> Operation {
    Operation::write("sessions.purge", "Forget old sessions")
        .about("Removes sessions, refresh tokens and owner links that have been over for a week.")
        .permission("users:manage")
        .internal()
        .elevated()
        .handle(|tx: Tx, _: Arc<NoInput>| async move {
            let removed = sessions::purge(&tx).await?;
            Ok::<_, Error>(Done(Purged { removed }))
        })
}

fn look() -> Operation {
    Operation::read(names::LOOK, "Look at an owner link")
        .about("Tells whom a one-time link is for, without using it.")
        .public()
        .internal()
        .rate(RateClass::SignIn)
        .elevated()
        .handle(|tx: Tx, input: Arc<LookAtLink>| async move { owner_links::look(&tx, &input.token).await })
}

fn accept(auth: Authenticator) -> Operation {
    let hashing = auth.clone();
    Operation::write(names::ACCEPT, "Use an owner link")
        .about("Sets the owner's password by a one-time link, ends their other sessions, and opens one.")
        .public()
        .internal()
        .rate(RateClass::SignIn)
        .elevated()
        .prepare_with(move |cx: Prepare, input: AcceptLink| {
            let auth = hashing.clone();
            async move { owner_links::prepare(&auth, &cx, input).await }
        })
        .handle(move |tx: Tx, accepted: Arc<owner_links::Acceptance>| {
            let auth = auth.clone();
            async move { owner_links::accept(&tx, &auth, &accepted).await }
        })
}

fn create_tokens(auth: Authenticator) -> Operation {
    let checking = auth.clone();
    Operation::write(names::TOKENS, "Sign in for tokens")
        .about(
            "Gives an access token of 15 minutes and a refresh token for e-mail address and password, for \
             clients that are no browsers.",
        )
        .public()
        .internal()
        .rate(RateClass::SignIn)
        .elevated()
        .prepare_with(move |cx: Prepare, input: SignIn| {
            let auth = checking.clone();
            async move { sign_in::check(&auth, &cx, input).await }
        })
        .handle(move |tx: Tx, attempt: Arc<sign_in::Attempt>| {
            let auth = auth.clone();
            async move {
                let settled: Result<sign_in::Admitted> = sign_in::settle(&tx, &auth, &attempt).await?;
                match settled {
                    Ok(who) => refresh::begin(&tx, &auth, who.user_id, who.workspace_id)
                        .await
                        .map(Done),
                    Err(refusal) => Ok(Refused(refusal)),
                }
            }
        })
}

fn refresh_tokens(auth: Authenticator) -> Operation {
    Operation::write(names::REFRESH, "Refresh tokens")
        .about("Gives the next access token and refresh token for a refresh token, which is good once.")
        .public()
        .internal()
        // Not of the class of sign-ins: such a token cannot be guessed, and an office behind one address refreshes often.
        .elevated()
        .handle(move |tx: Tx, input: Arc<RefreshTokens>| {
            let auth = auth.clone();
            async move { refresh::rotate(&tx, &auth, &input.refresh_token).await }
        })
}
