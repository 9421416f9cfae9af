//! Names of environment variables that hold a credential, an endpoint or a proxy.
//!
//! A variable of such a name reaches a unit only if its `pass` or `set` lists it: a key left over in a tmux server
//! or brought by a sourced file would send requests, silently, to somebody else's endpoint.

/// Patterns in the glob language of bash (`*` only), compared without regard to case.
pub const PATTERNS: &[&str] = &[
    // Shapes of names.
    "*_API_KEY",
    "*_API_KEYS",
    "*_APIKEY",
    "*_ACCESS_KEY",
    "*_ACCESS_KEY_ID",
    "*_SECRET",
    "*_SECRET_*",
    "*_TOKEN",
    "*_ACCESS_TOKEN_*",
    "*_PASSWORD",
    "*_PASSWD",
    "*_CREDENTIALS",
    "*_CREDENTIAL_*",
    "*_PRIVATE_KEY",
    "*_BASE_URL",
    "*_API_BASE",
    "*_API_BASE_URL",
    "*_API_HOST",
    "*_API_URL",
    "*_ENDPOINT",
    "*_ENDPOINT_URL",
    "API_KEY",
    "API_TOKEN",
    "TOKEN",
    "SECRET",
    "PASSWORD",
    // Providers of models, whatever the rest of the name.
    "OPENAI_*",
    "AZURE_*",
    "ANTHROPIC_*",
    "NEBIUS_*",
    "TOGETHER_*",
    "OPENROUTER_*",
    "GROQ_*",
    "MISTRAL_*",
    "COHERE_*",
    "DEEPSEEK_*",
    "FIREWORKS_*",
    "GEMINI_*",
    "GOOGLE_API_*",
    "GOOGLE_APPLICATION_*",
    "VERTEX*",
    "XAI_*",
    "NVIDIA_API_*",
    "NGC_*",
    "TAVILY_*",
    "SERPER_*",
    "LITELLM_*",
    // Clouds, hubs, trackers, sites.
    "AWS_*",
    "HF_TOKEN*",
    "HUGGING_FACE_HUB_TOKEN",
    "HUGGINGFACEHUB_*",
    "HF_ENDPOINT",
    "WANDB_API_*",
    "WANDB_BASE_*",
    "GITHUB_PAT*",
    "GH_PAT*",
    "CLIENT_ID",
    "CLIENT_SECRET",
    "OSS_KEY",
    "SLURM_JWT",
    // Proxies, in either case.
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "FTP_PROXY",
    // What moves a vLLM server to another port or address than its flags say.
    "VLLM_PORT",
    "VLLM_HOST_IP",
    "VLLM_API_KEY",
    "VLLM_RPC_BASE_PATH",
    "VLLM_DP_*",
    "MASTER_ADDR",
    "MASTER_PORT",
];

/// Does this name hold a credential, an endpoint or a proxy?
pub fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    PATTERNS.iter().any(|pattern| matches(pattern, &name))
}

/// Is the value of such a variable a secret itself, rather than an address or a setting?
pub fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 10] = [
        "KEY",
        "KEYS",
        "APIKEY",
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "CREDENTIALS",
        "PAT",
        "JWT",
    ];
    let name = name.to_ascii_uppercase();
    is_credential(&name) && name.split('_').any(|word| WORDS.contains(&word))
}

/// Does the pattern match the whole name?
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_no_secrets() {
        for name in [
            "OPENAI_API_KEY",
            "HF_TOKEN",
            "my_password",
            "GITHUB_PAT",
            "SLURM_JWT",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "OPENAI_BASE_URL",
            "http_proxy",
            "VLLM_PORT",
            "TOKENIZERS_PARALLELISM",
            "PATH",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn credentials_are_known_and_settings_are_not() {
        for name in [
            "OPENAI_API_KEY",
            "NEBIUS_API_KEY",
            "http_proxy",
            "HF_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "MY_SECRET_THING",
            "VLLM_PORT",
            "CLIENT_SECRET",
        ] {
            assert!(is_credential(name), "{name}");
        }
        for name in [
            "PATH",
            "HF_HOME",
            "TOKENIZERS_PARALLELISM",
            "CUDA_VISIBLE_DEVICES",
            "VLLM_USE_V1",
            "INDEX_DIR",
            "SLURM_JOB_ID",
            "TOOL_ORCH_CALL_TIMEOUT_S",
        ] {
            assert!(!is_credential(name), "{name}");
        }
    }

    #[test]
    fn patterns_are_safe_to_put_into_an_extended_glob() {
        for pattern in PATTERNS {
            let plain =
                |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_' || c == '*';
            assert!(pattern.chars().all(plain), "{pattern}");
        }
    }
}
