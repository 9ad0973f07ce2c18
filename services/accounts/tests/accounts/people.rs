//! People, what they prove themselves with, and where their parcels go, asked by telephone.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use contracts::{
    accounts::v1::{
        Address, Contact, GetAccountRequest, GetAddressesRequest, GetContactsRequest, GetContactsResponse,
        RegisterRequest,
    },
    ids::AccountId,
    problem::ProblemCode,
};

use crate::process::{PASSWORD, accounts, address, newcomer, refused_as, run, start};

#[tokio::test]
async fn a_registered_person_logs_in_for_a_token_that_the_jwks_verifies() {
    let accounts = start().await;
    let account = accounts.register("Ada@Example.com").await.unwrap();
    assert_eq!((account.email.as_str(), account.name.as_str()), ("Ada@Example.com", "Ada"));
    let token = accounts.login("ada@example.COM", PASSWORD).await.unwrap();
    let claims = accounts.verified(&token).await;
    assert_eq!(claims["sub"], account.account_id);
    assert_eq!(claims["roles"], serde_json::json!(["customer"]));
    assert_eq!(claims["nbf"], claims["iat"]);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
}

#[tokio::test]
async fn an_unknown_email_an_erased_one_and_a_wrong_password_have_the_same_answer_and_time() {
    let accounts = start().await;
    accounts.register("ada@example.com").await.unwrap();
    let erased = accounts.register("eve@example.com").await.unwrap().account_id;
    accounts.erase(&erased).await.unwrap();
    // other work on the machine only ever adds time: compare the best of as many tries as it takes, up to a bound
    let mut best = [Duration::MAX; 3];
    let mut alike = false;
    for _ in 0..40 {
        for (email, best) in ["ada@example.com", "nobody@example.com", "eve@example.com"].into_iter().zip(&mut best) {
            let asked = Instant::now();
            let status = accounts.login(email, "wrong password").await.unwrap_err();
            *best = asked.elapsed().min(*best);
            assert_eq!(rpc::problem_of(&status), ProblemCode::WrongCredentials);
            assert_eq!(status.message(), "the email or the password is wrong");
        }
        alike = best[1..].iter().all(|one| (0.7..1.4).contains(&(one.as_secs_f64() / best[0].as_secs_f64())));
        if alike {
            break;
        }
    }
    assert!(alike, "known, unknown and erased email: {best:?}");
}

#[tokio::test]
async fn what_is_no_email_at_all_is_an_unknown_one() {
    let accounts = start().await;
    for email in ["", "no-at-sign", "nul\0@example.com", &"a".repeat(100_000)] {
        assert_eq!(refused_as(accounts.login(email, PASSWORD).await), ProblemCode::WrongCredentials);
    }
}

#[tokio::test]
async fn an_email_has_one_account_whatever_its_case_and_however_many_ask() {
    let accounts = start().await;
    let emails = ["ada@example.com", "ADA@example.com", "Ada@Example.Com", "ada@EXAMPLE.com"];
    let answers = futures::future::join_all(emails.map(|email| accounts.register(email))).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    assert!(refused.into_iter().all(|answer| refused_as(answer) == ProblemCode::EmailTaken));
    assert_eq!(accounts.accounts_kept().await, 1);
}

#[tokio::test]
async fn an_address_is_told_once_it_is_set_and_replaced_by_the_next() {
    let accounts = start().await;
    let id = accounts.register("ada@example.com").await.unwrap().account_id;
    let parcel_goes_to = async || {
        let request = GetAddressesRequest { account_ids: vec![id.clone()] };
        let response = accounts.client.clone().get_addresses(request).await.unwrap().into_inner();
        let [destination] = response.destinations.try_into().unwrap();
        assert_eq!((&destination.account_id, destination.recipient.as_str()), (&id, "Ada"));
        destination.address
    };
    assert_eq!(parcel_goes_to().await, None);
    for line1 in ["1 High Street", "2 High Street"] {
        let account = accounts.set_address(&id, address(line1)).await.unwrap();
        assert_eq!(account.address, Some(address(line1)));
        assert_eq!(parcel_goes_to().await, Some(address(line1)));
    }
}

#[tokio::test]
async fn an_account_may_begin_with_an_address() {
    let accounts = start().await;
    let request = newcomer("ada@example.com", Some(address("1 High Street")));
    let made = accounts.register_as(request).await.unwrap();
    let request = GetAccountRequest { account_id: made.account_id.clone() };
    let found = accounts.client.clone().get_account(request).await.unwrap().into_inner().account;
    assert_eq!(found, Some(made));
}

#[tokio::test]
async fn contacts_are_emails_as_they_were_written_and_names_of_those_who_are_there() {
    let accounts = start().await;
    let ids = [
        accounts.register("Ada@Example.com").await.unwrap().account_id,
        AccountId::new().to_string(),
        accounts.register("eve@example.com").await.unwrap().account_id,
    ];
    let request = GetContactsRequest { account_ids: ids.to_vec() };
    let mut told = accounts.client.clone().get_contacts(request).await.unwrap().into_inner();
    told.contacts.sort_by_key(|contact| ids.iter().position(|id| *id == contact.account_id));
    let contact = |account_id: &String, email: &str| Contact {
        account_id: account_id.clone(),
        email: email.to_owned(),
        name: "Ada".to_owned(),
    };
    let contacts = vec![contact(&ids[0], "Ada@Example.com"), contact(&ids[2], "eve@example.com")];
    assert_eq!(told, GetContactsResponse { contacts, ..GetContactsResponse::default() });
}

#[tokio::test]
async fn an_account_that_cannot_be_read_is_in_nobody_s_way() {
    let accounts = start().await;
    let ids = [
        accounts.register("ada@example.com").await.unwrap().account_id,
        accounts.register("eve@example.com").await.unwrap().account_id,
    ];
    accounts.spoil(&ids[0]).await;
    let request = GetContactsRequest { account_ids: ids.to_vec() };
    let told = accounts.client.clone().get_contacts(request).await.unwrap().into_inner();
    assert_eq!((told.contacts.len(), &told.contacts[0].account_id), (1, &ids[1]));
    assert_eq!(told.unreadable_ids, ids[..1]);
    let request = GetAddressesRequest { account_ids: ids.to_vec() };
    let told = accounts.client.clone().get_addresses(request).await.unwrap().into_inner();
    assert_eq!((told.destinations.len(), told.unreadable_ids), (1, ids[..1].to_vec()));
}

#[tokio::test]
async fn nobody_is_not_found() {
    let accounts = start().await;
    let nobody = AccountId::new().to_string();
    let request = GetAccountRequest { account_id: nobody.clone() };
    assert_eq!(refused_as(accounts.client.clone().get_account(request).await), ProblemCode::NotFound);
    for account_ids in [Vec::new(), vec!["nobody".to_owned()], vec![nobody.clone(); 101]] {
        let request = GetContactsRequest { account_ids: account_ids.clone() };
        assert_eq!(refused_as(accounts.client.clone().get_contacts(request).await), ProblemCode::Invalid);
        let request = GetAddressesRequest { account_ids };
        assert_eq!(refused_as(accounts.client.clone().get_addresses(request).await), ProblemCode::Invalid);
    }
    assert_eq!(refused_as(accounts.set_address(&nobody, address("1 High Street")).await), ProblemCode::NotFound);
    assert_eq!(refused_as(accounts.set_address("nobody", address("1 High Street")).await), ProblemCode::Invalid);
}

#[tokio::test]
async fn a_wrong_field_is_named_and_nothing_is_kept() {
    let accounts = start().await;
    let right = || newcomer("ada@example.com", None);
    let cases = [
        ("email", RegisterRequest { email: "ada".to_owned(), ..right() }),
        ("password", RegisterRequest { password: "1234567".to_owned(), ..right() }),
        ("password", RegisterRequest { password: "x".repeat(129), ..right() }),
        ("name", RegisterRequest { name: String::new(), ..right() }),
        ("name", RegisterRequest { name: "A\0da".to_owned(), ..right() }),
        ("line1", RegisterRequest { address: Some(address("")), ..right() }),
        ("country", RegisterRequest { address: Some(Address { country: "gb".to_owned(), ..address("1") }), ..right() }),
    ];
    for (field, request) in cases {
        let status = accounts.register_as(request).await.unwrap_err();
        assert_eq!(rpc::problem_of(&status), ProblemCode::Invalid, "{field}");
        assert!(status.message().starts_with(field), "{field}: {}", status.message());
    }
    assert_eq!(accounts.accounts_kept().await, 0);
}

#[tokio::test]
async fn a_storm_of_logins_is_shed_and_then_forgotten() {
    let accounts = start().await;
    accounts.register("ada@example.com").await.unwrap();
    let storm = (0..60).map(|_| accounts.login("ada@example.com", PASSWORD));
    let answers = futures::future::join_all(storm).await;
    let (served, shed): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert!(served.len() >= 18, "{} served", served.len());
    assert!(!shed.is_empty());
    assert!(shed.into_iter().all(|answer| refused_as(answer) == ProblemCode::Unavailable));
    accounts.login("ada@example.com", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn operators_are_made_from_the_command_line_only_and_seeding_again_changes_nothing() {
    let accounts = start().await;
    let url = &accounts.database.app_url;
    for _ in 0..2 {
        assert!(run(&["seed", "demo"], url, "").status.success());
    }
    assert!(run(&["create-operator", "--email", "grace@example.com"], url, "hopper-1906\n").status.success());
    for (email, password) in [("operator@example.com", "operator-demo"), ("grace@example.com", "hopper-1906")] {
        let token = accounts.login(email, password).await.unwrap();
        assert_eq!(accounts.verified(&token).await["roles"], serde_json::json!(["operator"]));
    }
    assert_eq!(accounts.accounts_kept().await, 2);
    let again = run(&["create-operator", "--email", "Grace@example.com"], url, "hopper-1906\n");
    assert_eq!(again.status.code(), Some(1));
    let weak = run(&["create-operator", "--email", "weak@example.com"], url, "1234567\n");
    assert_eq!(weak.status.code(), Some(64));
}

#[tokio::test]
async fn who_is_vouched_for_elsewhere_has_an_account_that_follows_what_is_told() {
    let accounts = start().await;
    let id = AccountId::new().to_string();
    for (email, name) in [("ada@example.com", "Ada"), ("ada@example.com", "Ada"), ("ada@example.org", "Ada Lovelace")] {
        accounts.ensure(&id, email, name).await.unwrap();
        let account = accounts.account(&id).await.unwrap();
        assert_eq!((account.email.as_str(), account.name.as_str()), (email, name));
    }
    assert_eq!(accounts.accounts_kept().await, 1);
    assert_eq!(
        accounts.set_address(&id, address("1 High Street")).await.unwrap().address,
        Some(address("1 High Street"))
    );
}

#[tokio::test]
async fn who_is_vouched_for_elsewhere_cannot_log_in_here_and_takes_nobodys_email() {
    let accounts = start().await;
    let (ada, eve) = (AccountId::new().to_string(), AccountId::new().to_string());
    for id in [&ada, &eve] {
        accounts.ensure(id, "ada@example.com", "Ada").await.unwrap();
    }
    for password in [PASSWORD, ""] {
        assert_eq!(refused_as(accounts.login("ada@example.com", password).await), ProblemCode::WrongCredentials);
    }
    let registered = accounts.register("Ada@example.com").await.unwrap();
    assert_eq!(accounts.accounts_kept().await, 3);
    assert_eq!(refused_as(accounts.register("ada@example.com").await), ProblemCode::EmailTaken);
    let token = accounts.login("ada@example.com", PASSWORD).await.unwrap();
    assert_eq!(accounts.verified(&token).await["sub"], registered.account_id);
}

#[tokio::test]
async fn an_account_with_a_password_is_left_as_its_owner_made_it() {
    let accounts = start().await;
    let before = accounts.register("ada@example.com").await.unwrap();
    accounts.ensure(&before.account_id, "eve@example.com", "Eve").await.unwrap();
    assert_eq!(accounts.account(&before.account_id).await.unwrap(), before);
    accounts.login("ada@example.com", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn what_makes_no_account_is_refused_with_the_field() {
    let accounts = start().await;
    let id = AccountId::new().to_string();
    let id = id.as_str();
    for (field, id, email, name) in [
        ("account_id", "ada", "ada@example.com", "Ada"),
        ("email", id, "ada", "Ada"),
        ("email", id, "", "Ada"),
        ("name", id, "ada@example.com", ""),
        ("name", id, "ada@example.com", "A\0da"),
    ] {
        let status = accounts.ensure(id, email, name).await.unwrap_err();
        assert_eq!(rpc::problem_of(&status), ProblemCode::Invalid, "{field}");
        assert!(status.message().starts_with(field), "{field}: {}", status.message());
    }
    assert_eq!(accounts.accounts_kept().await, 0);
}

#[tokio::test]
async fn an_operator_is_noted_by_the_id_of_the_account_and_a_customer_is_not() {
    let accounts = start().await;
    let url = &accounts.database.app_url;
    accounts.register("ada@example.com").await.unwrap();
    for _ in 0..2 {
        assert!(run(&["seed", "demo"], url, "").status.success());
        // the second is refused
        run(&["create-operator", "--email", "grace@example.com"], url, "hopper-1906\n");
    }
    let query = "SELECT operator, action, object, detail::text FROM operator_log ORDER BY id";
    let noted: Vec<(String, String, String, String)> =
        sqlx::query_as(query).fetch_all(&accounts.database.owner).await.unwrap();
    let mut made = Vec::new();
    for (email, password) in [("operator@example.com", "operator-demo"), ("grace@example.com", "hopper-1906")] {
        let token = accounts.login(email, password).await.unwrap();
        let account = accounts.verified(&token).await["sub"].as_str().unwrap().to_owned();
        let (who, what, nothing) = ("command line".to_owned(), "create-operator".to_owned(), "{}".to_owned());
        made.push((who, what, format!("account/{account}"), nothing));
    }
    assert_eq!(noted, made, "and nothing of what they are called or where they are written to");
}

#[tokio::test]
async fn a_file_without_a_key_ends_the_start_with_the_name_of_its_variable() {
    let key = tempfile::NamedTempFile::new().unwrap();
    let output = accounts(&["serve"], "postgres://nobody@127.0.0.1:1/none")
        .env("ACCOUNTS_SIGNING_KEY_FILE", key.path())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8(output.stderr).unwrap().contains("ACCOUNTS_SIGNING_KEY_FILE"));
}
