//! Calls: what fails over, what is recorded of each attempt, JSON by a schema.

use crate::home::{Home, faults, said, text};
use serde_json::{Value, json};
use synapscale_testkit::db_test;
use synapscale_testkit::providers::{
    Fault, Finish, Options, Reply, RetryAfter, Script, StandIn, any, nth, when,
};

/// Two providers on one route, the first of which fails so.
async fn failing(home: &Home, fault: Fault, number: usize) -> (StandIn, StandIn, String) {
    let (bad, good) = (StandIn::start().await, StandIn::start().await);
    bad.script(Script::new().rule(when(any()).then(Reply::fault(fault))));
    let one = home.provider(&format!("bad-{number}"), &bad).await;
    let two = home.provider(&format!("good-{number}"), &good).await;
    let alias = format!("route-{number}");
    home.route(&alias, &[(&one, "m"), (&two, "m")]).await;
    (bad, good, alias)
}

db_test! {
    async fn each_way_of_failing_goes_to_the_next_and_is_recorded(db: TestDb) {
        let home = Home::new(db).await;
        let mut recorded = 0;
        for (number, (fault, outcome, status)) in [
            (Fault::rate_limited(RetryAfter::Seconds(30)), "llm_rate_limited", Some(429)),
            (Fault::rate_limited(RetryAfter::Date(std::time::Duration::from_secs(40))), "llm_rate_limited", Some(429)),
            (Fault::QuotaExhausted, "llm_budget", Some(429)),
            (Fault::status(500), "llm_provider", Some(500)),
            (Fault::status(502), "llm_provider", Some(502)),
            (Fault::status(503), "llm_overloaded", Some(503)),
            (Fault::overloaded(), "llm_overloaded", Some(529)),
            (Fault::status(401), "llm_unauthorized", Some(401)),
            (Fault::ContextTooLong, "llm_context_too_long", Some(400)),
            (Fault::ResetBeforeHeaders, "llm_cut_stream", None),
            (Fault::CloseBeforeHeaders, "llm_cut_stream", None),
            (Fault::ResetMidBody { after: 0 }, "llm_cut_stream", None),
            (Fault::ErrorInBody("server_error".into(), "down".into()), "", None),
            (Fault::MalformedJson { after: 0 }, "llm_malformed", None),
        ]
        .into_iter()
        .enumerate()
        {
            let (bad, good, alias) = failing(&home, fault.clone(), number).await;
            let answer = home.chat(&alias, "hello").await.unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
            assert_eq!(answer["provider"], format!("good-{number}"));
            let attempts = answer["attempts"].as_array().expect("attempts");
            assert_eq!(attempts.len(), 2, "{fault:?}: {answer}");
            assert_eq!(attempts[1]["outcome"], "ok");
            assert_eq!((bad.calls().len(), good.calls().len()), (1, 1), "{fault:?}");
            recorded += 2;
            let rows = home.usage(recorded).await;
            let (ok, failed) = (&rows[0], &rows[1]);
            if !outcome.is_empty() {
                assert_eq!(failed["outcome"], outcome, "{fault:?}");
                assert_eq!(failed["status_code"].as_i64(), status, "{fault:?}");
            }
            assert_ne!(failed["outcome"], "ok");
            assert_eq!(failed["outcome"], attempts[0]["outcome"]);
            assert_eq!((&failed["attempt"], &ok["attempt"]), (&json!(1), &json!(2)));
            assert_eq!((&failed["cost_nano_usd"], &failed["route"]), (&Value::Null, &json!(alias)));
            assert_eq!((&ok["provider"], &ok["outcome"]), (&json!(format!("good-{number}")), &json!("ok")));
            assert_eq!(ok["actor_id"], json!(home.ctx.actor().id));
        }
    }

    async fn a_provider_that_asks_for_rest_gets_it(db: TestDb) {
        let home = Home::new(db).await;
        let (bad, good, alias) = failing(&home, Fault::rate_limited(RetryAfter::Seconds(300)), 1).await;
        for _ in 0..3 {
            home.chat(&alias, "hello").await.expect("an answer");
        }
        assert_eq!((bad.calls().len(), good.calls().len()), (1, 3), "it is asked last from then on");
    }

    async fn what_is_the_callers_fault_is_nobody_elses(db: TestDb) {
        let home = Home::new(db).await;
        let (bad, good, alias) = failing(&home, Fault::status(400), 1).await;
        let error = home.chat(&alias, "hello").await.expect_err("refused");
        assert_eq!((error.code(), bad.calls().len(), good.calls().len()), ("llm_invalid_request", 1, 0));
        assert_eq!(home.outcomes(1).await, [("llm_invalid_request".to_owned(), Some(400))]);
        // A bad schema does not even go out.
        let mut input = said(&alias, "x");
        input["response_format"] = json!({ "type": "json_schema", "name": "n", "schema": { "type": 7 } });
        let refused = home.try_call("llm.chat", input).await;
        assert!(refused.is_err() && bad.calls().len() == 1, "{refused:?}");
        // Nor does a message that is none.
        for (messages, at) in [
            (json!([]), "/messages"),
            (json!([{ "role": "robot", "content": "x" }]), "/messages/0/role"),
            (json!([{ "content": "x" }]), "/messages/0/role"),
        ] {
            let error = home.refused("llm.chat", json!({ "model": alias, "messages": messages })).await;
            assert_eq!(faults(&error)[0].0, at);
        }
    }

    async fn a_failure_of_all_is_told_with_each_attempt_recorded(db: TestDb) {
        let home = Home::new(db).await;
        let (bad, good, alias) = failing(&home, Fault::status(503), 1).await;
        good.script(Script::new().rule(when(any()).then(Reply::fault(Fault::rate_limited(RetryAfter::Seconds(77))))));
        let error = home.chat(&alias, "hello").await.expect_err("both fail");
        assert_eq!(error.code(), "llm_rate_limited");
        assert_eq!(error.retry_delay().map(|after| after.as_secs()), Some(77));
        assert_eq!((bad.calls().len(), good.calls().len()), (1, 1));
        let outcomes = home.outcomes(2).await;
        assert_eq!(outcomes[0], ("llm_overloaded".to_owned(), Some(503)));
        assert_eq!(outcomes[1], ("llm_rate_limited".to_owned(), Some(429)));
    }

    async fn json_by_a_schema_is_checked_and_both_tries_are_recorded(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        let provider = home.provider("main", &stand_in).await;
        let pricing = json!({ "pricing": { "fixed": { "input": 1_000_000, "output": 2_000_000 } } });
        home.call("providers.update", json!({ "provider_id": provider["id"], "settings": pricing })).await;
        stand_in.script(Script::new().rule(when(nth(1)).then(Reply::text("{\"city\": 7}"))));
        let mut input = said("main/m", "where?");
        input["response_format"] = json!({ "type": "json_schema", "name": "place", "schema": {
            "type": "object", "required": ["city"], "properties": { "city": { "type": "string" } },
        } });
        let answer = home.call("llm.chat", input.clone()).await;
        assert_eq!(answer["json"], json!({ "city": "text" }));
        assert_eq!(stand_in.calls().len(), 2);
        let rows = home.usage(2).await;
        let cost: i64 = rows.iter().map(|row| row["cost_nano_usd"].as_i64().expect("known")).sum();
        assert_eq!(answer["cost_nano_usd"].as_i64(), Some(cost), "what both cost");
        stand_in.script(Script::new().rule(when(any()).then(Reply::text("no JSON"))));
        assert_eq!(home.refused("llm.chat", input).await.code(), "llm_schema_mismatch");
        // Both were answered, and are to be paid.
        assert!(home.outcomes(4).await.iter().all(|(outcome, _)| outcome == "ok"));
    }

    async fn tools_finish_and_odd_texts_come_through(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        home.provider("main", &stand_in).await;
        stand_in.script(Script::new().rule(when(any()).then(Reply::tool("look_up", json!({ "q": "x" })))));
        let mut input = said("main/m", "look");
        input["tools"] = json!([{ "name": "look_up", "parameters": { "type": "object" } }]);
        let answer = home.call("llm.chat", input).await;
        assert_eq!(answer["finish"], "tool_calls");
        let part = &answer["message"]["content"][0];
        assert_eq!((&part["type"], &part["name"]), (&json!("tool_call"), &json!("look_up")));
        stand_in.script(Script::new().rule(when(any()).then(Reply::text("half").finish(Finish::Length))));
        assert_eq!(home.chat("main/m", "x").await.expect("an answer")["finish"], "length");
        let odd = "ünï ☃ 𝄞 \u{1} \"quoted\"";
        stand_in.script(Script::new().rule(when(any()).then(Reply::text(odd))));
        let answer = home.chat("main/m", odd).await.expect("an answer");
        assert_eq!(text(&answer["message"]["content"][0]["text"]), odd);
    }

    async fn what_is_not_told_is_not_known(db: TestDb) {
        let home = Home::new(db).await;
        let stand_in = StandIn::start_with(Options::default()).await;
        home.provider("main", &stand_in).await;
        // No price: the tokens are known, the cost is not.
        let answer = home.chat("main/m", "hello").await.expect("an answer");
        assert_eq!(answer["cost_nano_usd"], Value::Null);
        let row = &home.usage(1).await[0];
        assert!(row["input_tokens"].is_i64() && row["cost_nano_usd"].is_null(), "{row}");
        // No usage: neither.
        stand_in.script(Script::new().rule(when(any()).then(Reply::text("x").faulty(Fault::NoUsage))));
        home.chat("main/m", "hello").await.expect("an answer");
        let row = &home.usage(2).await[0];
        for name in ["input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_nano_usd"] {
            assert!(row[name].is_null(), "{name}: {row}");
        }
        // Nonsense neither, or no sum could be made any more.
        let absurd = synapscale_testkit::providers::Usage::new(u64::MAX / 2, 5);
        stand_in.script(Script::new().rule(when(any()).then(Reply::text("x").usage(absurd))));
        for _ in 0..3 {
            home.chat("main/m", "hello").await.expect("an answer");
        }
        let row = &home.usage(5).await[0];
        assert_eq!((&row["input_tokens"], &row["output_tokens"]), (&Value::Null, &json!(5)));
        let sums = home.call("usage.summary", json!({ "by": "provider" })).await;
        assert_eq!(sums["items"][0]["attempts"], 5);
        assert_eq!((&sums["items"][0]["cost_nano_usd"], &sums["items"][0]["unknown_costs"]), (&Value::Null, &json!(5)));
    }
}
