//! Streams: pieces through the operation's sink, and what dropping a call does.

use crate::home::{Home, SOON, said, text};
use serde_json::{Value, json};
use std::time::Duration;
use synapscale_ops::{Envelope, Sink};
use synapscale_testkit::db_test;
use synapscale_testkit::providers::{
    Exchange, Fault, Gate, Outcome, Pace, Reply, Script, StandIn, any, when,
};

/// Calls with somebody listening; answers what came and how it ended.
async fn streamed(home: &Home, input: Value) -> (synapscale_core::Result<Value>, Vec<Value>) {
    let (sink, mut chunks) = Sink::channel(4);
    let call = home
        .gate
        .call(&home.ctx, "llm.chat", input, Envelope::default(), sink);
    let listen = async {
        let mut heard = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            heard.push(chunk);
        }
        heard
    };
    let (answer, heard) = tokio::join!(call, listen);
    (answer.and_then(|answer| answer.output.to_value()), heard)
}

fn said_in(chunks: &[Value]) -> String {
    let texts = chunks.iter().filter(|chunk| chunk["type"] == "text");
    texts.map(|chunk| text(&chunk["text"])).collect()
}

fn hung_up(log: &[Exchange]) -> bool {
    log.iter()
        .any(|exchange| matches!(exchange.outcome, Outcome::HungUp))
}

fn slow() -> Script {
    let pace = Pace {
        first: Duration::ZERO,
        between: Duration::from_secs(3600),
        chars: 4,
    };
    Script::new().rule(when(any()).then(Reply::text("first piece, and then a long silence").paced(pace)))
}

db_test! {
    async fn pieces_come_in_order_and_the_answer_last(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        home.provider("main", &stand_in).await;
        let long = "A long answer in many small pieces, with ünïcode, that comes bit by bit. ".repeat(5);
        stand_in.script(Script::new().rule(when(any()).then(Reply::text(&long))));
        let (answer, chunks) = streamed(&home, said("main/m", "tell me")).await;
        let answer = answer.expect("an answer");
        assert!(stand_in.calls()[0].streams());
        assert_eq!(said_in(&chunks), long);
        assert!(chunks.len() > 10);
        assert_eq!(answer["message"]["content"][0]["text"], json!(long));
        let told = chunks.last().expect("chunks");
        assert_eq!(told["type"], "usage");
        assert_eq!(told["usage"], answer["usage"]);
        let row = &home.usage(1).await[0];
        assert!(row["first_token_ms"].is_i64(), "{row}");
        let served = stand_in.served_usage();
        assert_eq!(row["output_tokens"].as_u64(), Some(served.output));
        // Without a listener no stream is asked for.
        home.chat("main/m", "tell me").await.expect("an answer");
        assert!(!stand_in.calls()[1].streams());
        assert!(home.usage(2).await[0]["first_token_ms"].is_null());
    }

    async fn a_stream_fails_over_before_its_first_piece_only(db: TestDb) {
        let home = Home::new(db).await;
        let (bad, good) = (StandIn::start().await, StandIn::start().await);
        let (one, two) = (home.provider("one", &bad).await, home.provider("two", &good).await);
        home.route("both", &[(&one, "m"), (&two, "m")]).await;
        for fault in [
            Fault::ErrorInStream { after: 0, kind: "server_error".into(), message: "down".into() },
            Fault::EndsEarly { after: 0 },
            Fault::ResetMidBody { after: 0 },
        ] {
            bad.script(Script::new().rule(when(any()).then(Reply::fault(fault.clone()))));
            let (answer, chunks) = streamed(&home, said("both", "hello")).await;
            let answer = answer.unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
            assert_eq!(answer["provider"], "two", "{fault:?}");
            assert_eq!(said_in(&chunks), "You said: hello", "{fault:?}");
        }
        let before = home.usage(6).await.len();
        bad.script(Script::new().rule(when(any()).then(Reply::fault(Fault::ResetMidBody { after: 2 }))));
        let (answer, chunks) = streamed(&home, said("both", "hello")).await;
        assert_eq!(answer.expect_err("cut").code(), "llm_cut_stream");
        assert!(!said_in(&chunks).is_empty(), "what came was handed on");
        let rows = home.usage(before + 1).await;
        assert_eq!((&rows[0]["outcome"], &rows[0]["provider"]), (&json!("llm_cut_stream"), &json!("one")));
    }

    async fn who_drops_a_call_hangs_up_and_it_is_recorded(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        home.provider("main", &stand_in).await;
        stand_in.script(slow());
        let (sink, mut chunks) = Sink::channel(4);
        {
            let call = home.gate.call(&home.ctx, "llm.chat", said("main/m", "x"), Envelope::default(), sink);
            tokio::pin!(call);
            tokio::select! {
                ended = &mut call => panic!("{ended:?}"),
                first = chunks.recv() => assert_eq!(first.expect("a piece")["type"], "text"),
            }
        }
        assert!(stand_in.wait_until(SOON, hung_up).await, "{:?}", stand_in.log());
        let row = &home.usage(1).await[0];
        assert_eq!((&row["outcome"], &row["cost_nano_usd"]), (&json!("llm_cancelled"), &Value::Null));
    }

    async fn a_listener_who_goes_ends_the_call(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        home.provider("main", &stand_in).await;
        let pace = Pace { first: Duration::ZERO, between: Duration::from_millis(2), chars: 4 };
        let long = Reply::text("word ".repeat(20_000)).paced(pace);
        stand_in.script(Script::new().rule(when(any()).then(long)));
        let (sink, mut chunks) = Sink::channel(1);
        let call = home.gate.call(&home.ctx, "llm.chat", said("main/m", "x"), Envelope::default(), sink);
        let leave = async move {
            chunks.recv().await.expect("a piece");
            drop(chunks);
        };
        let (answer, ()) = tokio::join!(call, leave);
        assert_eq!(answer.expect_err("gone").code(), "llm_cancelled");
        assert!(stand_in.wait_until(SOON, hung_up).await);
        assert_eq!(home.usage(1).await[0]["outcome"], "llm_cancelled");
    }

    async fn a_call_that_is_dropped_while_it_waits_is_recorded(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        home.provider("main", &stand_in).await;
        let gate = Gate::shut();
        stand_in.script(Script::new().rule(when(any()).then(Reply::text("late").held(&gate))));
        {
            let call = home.chat("main/m", "x");
            tokio::pin!(call);
            tokio::select! {
                ended = &mut call => panic!("{ended:?}"),
                came = stand_in.wait_for_calls(1, SOON) => assert!(came),
            }
        }
        let row = &home.usage(1).await[0];
        assert_eq!((&row["outcome"], &row["attempt"]), (&json!("llm_cancelled"), &json!(1)));
        assert!(row["first_token_ms"].is_null());
        gate.open();
        assert!(stand_in.wait_idle(SOON).await);
    }
}
