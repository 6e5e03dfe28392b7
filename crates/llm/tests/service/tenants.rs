//! Workspaces do not see, use, or stumble over one another's providers, routes and usage.

use crate::home::{Home, somebody};
use serde_json::{Value, json};
use synapscale_testkit::db_test;
use synapscale_testkit::providers::StandIn;

db_test! {
    async fn nothing_of_another_workspace_is_there(db: TestDb) {
        let (home, stand_in) = (Home::new(db).await, StandIn::start().await);
        let provider = home.provider("main", &stand_in).await;
        let route = home.route("fast", &[(&provider, "m")]).await;
        home.chat("fast", "ours").await.expect("an answer");
        home.usage(1).await;

        let other = home.elsewhere();
        for name in ["providers.list", "routes.list", "usage.list"] {
            assert_eq!(other.call(name, json!({})).await["items"], json!([]), "{name}");
        }
        assert_eq!(other.call("usage.summary", json!({ "by": "provider" })).await["items"], json!([]));
        let models = other.call("models.list", json!({})).await;
        assert_eq!((&models["items"], &models["routes"]), (&json!([]), &json!([])));
        let way = json!([{ "provider_id": provider["id"], "model": "m" }]);
        for (name, input) in [
            ("providers.get", json!({ "provider_id": provider["id"] })),
            ("providers.update", json!({ "provider_id": provider["id"], "status": "disabled" })),
            ("providers.delete", json!({ "provider_id": provider["id"] })),
            ("providers.test", json!({ "provider_id": provider["id"] })),
            ("routes.get", json!({ "route_id": route["id"] })),
            ("routes.update", json!({ "route_id": route["id"], "alias": "taken" })),
            ("routes.delete", json!({ "route_id": route["id"] })),
        ] {
            assert_eq!(other.refused(name, input).await.code(), "not_found", "{name}");
        }
        // Nor by reference.
        let error = other.refused("routes.create", json!({ "alias": "mine", "deployments": way })).await;
        assert_eq!(error.fields()[0].code, "not_found");
        for model in ["fast", "main/m", "default"] {
            assert_eq!(other.chat(model, "theirs").await.expect_err(model).fields()[0].pointer, "/model");
        }
        assert_eq!(stand_in.calls().len(), 1);

        // The same names stand side by side.
        let theirs = StandIn::start().await;
        let own = other.provider("main", &theirs).await;
        other.route("fast", &[(&own, "m")]).await;
        other.chat("fast", "theirs").await.expect("an answer");
        assert_eq!((stand_in.calls().len(), theirs.calls().len()), (1, 1));
        other.usage(1).await;
        assert_eq!(home.usage(1).await[0]["provider"], "main");
        assert_eq!(home.call("providers.get", json!({ "provider_id": provider["id"] })).await, provider);
    }

    async fn each_permission_opens_its_own_door(db: TestDb) {
        let (mut home, stand_in) = (Home::new(db).await, StandIn::start().await);
        let provider = home.provider("main", &stand_in).await;
        let calls: [(&str, Value, &str); 6] = [
            ("providers.list", json!({}), "models:read"),
            ("models.list", json!({}), "models:read"),
            ("providers.test", json!({ "provider_id": provider["id"] }), "models:write"),
            ("llm.chat", crate::home::said("main/m", "x"), "llm:chat"),
            ("usage.list", json!({}), "usage:read"),
            ("usage.summary", json!({ "by": "day" }), "usage:read"),
        ];
        let tenant = home.ctx.tenant();
        for permission in ["models:read", "models:write", "llm:chat", "usage:read"] {
            home.ctx = somebody(&home.store, tenant, &[permission]);
            for (name, input, needed) in &calls {
                match home.try_call(name, input.clone()).await {
                    Ok(_) => assert_eq!(permission, *needed, "{name}"),
                    Err(error) => {
                        assert_eq!(error.code(), "forbidden", "{name}: {error:?}");
                        assert_ne!(permission, *needed, "{name}");
                    }
                }
            }
        }
    }
}
