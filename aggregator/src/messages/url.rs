//! What is wrong with the URL of `--export` or `--jetstream`. No text contains a secret.

coroner_diagnosis::messages! {
    url_invalid(error: Quote);
    url_no_host();
    url_secret();
    url_fragment();
    url_option_twice(option: Quote);
    url_option_unknown(option: Quote);
    url_choice(option: Identifier, value: Quote, choices: Identifiers);
    url_range(option: Identifier, value: Quote, least: Identifier, most: Identifier);
    url_scheme(scheme: Quote, schemes: Identifiers);
    url_plain(scheme: Identifier);
    url_plain_with_files(scheme: Identifier);
    url_insecure_with_tls();
    url_half_identity();
    url_file();
    url_path(scheme: Identifier, path: Quote);
    url_cef();
    url_name(name: Quote);
    url_subject(subject: Quote);
    url_enterprise(number: Quote);
    url_stream(name: Quote);
}
