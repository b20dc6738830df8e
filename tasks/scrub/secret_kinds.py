"""The kinds of secrets: an entity type and a pattern each, most by the prefix that their issuer gives them.

Sources: the issuers' own documentation of token formats, and the rules of GitHub secret scanning and gitleaks (MIT).
In a pattern, what stands before `\\K` must be there but is not part of the secret.
"""

START, END = r"(?<![A-Za-z0-9_+/-])", r"(?![A-Za-z0-9_-])"


def _token(body: str) -> str:
    return START + body + END


PREFIXED: tuple[tuple[str, str], ...] = (
    # clouds
    ("AWS_ACCESS_KEY", _token(r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ABIA|ACCA)[A-Z0-9]{16}")),
    ("GCP_API_KEY", _token(r"AIza[\w-]{35}")),
    ("GOOGLE_OAUTH_SECRET", _token(r"GOCSPX-[\w-]{20,40}")),
    ("GOOGLE_OAUTH_TOKEN", _token(r"(?:ya29\.[\w.-]{20,}|1//0[\w-]{30,})")),
    ("AZURE_CLIENT_SECRET", _token(r"[\w.~-]{3}[78]Q~[\w.~-]{31,34}")),
    ("AZURE_SAS_SIGNATURE", r"(?<=[?&])sig=\K[A-Za-z0-9%+/]{30,}(?:%3[Dd]|=){0,2}"),
    ("DIGITALOCEAN_TOKEN", _token(r"do[opr]_v1_[a-f0-9]{64}")),
    ("ALIBABA_ACCESS_KEY", _token(r"LTAI[A-Za-z0-9]{12,24}")),
    ("TENCENT_SECRET_ID", _token(r"AKID[A-Za-z0-9]{13,40}")),
    ("HEROKU_TOKEN", _token(r"HRKU-[\w-]{36,80}")),
    ("FLY_TOKEN", _token(r"(?:fo1_[\w-]{40,}|fm[12][ar]?_[A-Za-z0-9+/=]{60,})")),
    # source hosting and packages
    ("GITHUB_TOKEN", _token(r"(?:gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_\w{22,93})")),
    ("GITLAB_TOKEN", _token(r"gl(?:pat|dt|rt|ptt|soat|cbt|ft|imt|agent|oas)-[\w.-]{20,}")),
    ("ATLASSIAN_TOKEN", _token(r"(?:ATATT3|ATCTT3|ATBB)[\w=-]{20,}")),
    ("NPM_TOKEN", _token(r"npm_[A-Za-z0-9]{36}")),
    ("PYPI_TOKEN", _token(r"pypi-[\w-]{32,}")),
    ("RUBYGEMS_TOKEN", _token(r"rubygems_[a-f0-9]{48}")),
    ("DOCKER_TOKEN", _token(r"dckr_(?:pat|oat)_[\w-]{20,}")),
    # model providers
    ("ANTHROPIC_KEY", _token(r"sk-ant-[\w-]{20,}")),
    ("OPENROUTER_KEY", _token(r"sk-or-(?:v1-)?[A-Za-z0-9]{32,}")),
    ("OPENAI_KEY", _token(r"(?:sk-(?:proj|svcacct|admin|None)-[\w-]{20,}|sk-[A-Za-z0-9]{20,}|sess-[A-Za-z0-9]{40})")),
    ("HUGGINGFACE_TOKEN", _token(r"(?:hf_|api_org_)[A-Za-z0-9]{30,}")),
    ("REPLICATE_TOKEN", _token(r"r8_[A-Za-z0-9]{30,}")),
    ("GROQ_KEY", _token(r"gsk_[A-Za-z0-9]{40,}")),
    ("XAI_KEY", _token(r"xai-[A-Za-z0-9]{40,}")),
    ("PERPLEXITY_KEY", _token(r"pplx-[A-Za-z0-9]{40,}")),
    ("NVIDIA_KEY", _token(r"nvapi-[\w-]{40,}")),
    ("LANGSMITH_KEY", _token(r"lsv2_(?:pt|sk)_[A-Za-z0-9_]{32,}")),
    ("LANGFUSE_KEY", _token(r"sk-lf-[a-f0-9-]{36}")),
    # chat and mail
    ("SLACK_TOKEN", _token(r"(?:xox[abeoprs]-[\w-]{10,}|xapp-\d-[\w-]{20,})")),
    ("SLACK_WEBHOOK", r"hooks\.slack\.com/(?:services|workflows|triggers)/\K[\w/-]{20,}"),
    ("DISCORD_TOKEN", _token(r"[MNO][A-Za-z0-9_-]{23,27}\.[\w-]{6}\.[\w-]{27,40}")),
    ("DISCORD_WEBHOOK", r"discord(?:app)?\.com/api/webhooks/\K\d{15,}/[\w-]{40,}"),
    ("TEAMS_WEBHOOK", r"\.webhook\.office\.com/webhookb2/\K[\w@/-]{60,}"),
    ("TELEGRAM_TOKEN", r"(?<!\w)(?:bot)?\K\d{8,10}:AA[\w-]{32,33}" + END),
    ("TWILIO_KEY", _token(r"(?:AC|SK)[a-f0-9]{32}")),
    ("SENDGRID_KEY", _token(r"SG\.[\w-]{16,32}\.[\w-]{16,64}")),
    ("MAILGUN_KEY", _token(r"(?:key-[a-f0-9]{32}|[a-f0-9]{32}-[a-f0-9]{8}-[a-f0-9]{8})")),
    ("MAILCHIMP_KEY", _token(r"[a-f0-9]{32}-us\d{1,2}")),
    ("BREVO_KEY", _token(r"x(?:key|smtp)sib-[a-f0-9]{64}-[A-Za-z0-9]{16}")),
    # payment and shops
    ("STRIPE_KEY", _token(r"(?:[srp]k_(?:live|test|prod)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{24,})")),
    ("SQUARE_TOKEN", _token(r"(?:sq0(?:atp|csp|idp)-[\w-]{22,43}|EAAA[\w-]{56,64})")),
    ("BRAINTREE_TOKEN", r"access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[a-f0-9]{32}"),
    ("SHOPIFY_TOKEN", _token(r"shp(?:at|ca|pa|ss|tka)_[A-Fa-f0-9]{32}")),
    ("RAZORPAY_KEY", _token(r"rzp_(?:live|test)_[A-Za-z0-9]{14,}")),
    ("PLAID_TOKEN", _token(r"access-(?:sandbox|development|production)-[a-f0-9-]{36}")),
    # tools
    ("DATABRICKS_TOKEN", _token(r"dapi[a-f0-9]{32}(?:-\d)?")),
    ("NEW_RELIC_KEY", _token(r"NRAK-[A-Z0-9]{27}")),
    ("SENTRY_TOKEN", _token(r"sntry[su]_[\w+/=-]{40,}")),
    ("GRAFANA_TOKEN", _token(r"(?:glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|glc_[A-Za-z0-9+/=]{32,})")),
    ("LINEAR_KEY", _token(r"lin_(?:api|oauth)_[A-Za-z0-9]{32,64}")),
    ("NOTION_TOKEN", _token(r"(?:secret_[A-Za-z0-9]{43}|ntn_[A-Za-z0-9]{40,})")),
    ("AIRTABLE_TOKEN", _token(r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}")),
    ("FIGMA_TOKEN", _token(r"fig[dou]r?_[\w-]{40,}")),
    ("POSTMAN_KEY", _token(r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}")),
    ("VAULT_TOKEN", _token(r"hv[sbr]\.[\w-]{24,}")),
    ("TERRAFORM_TOKEN", _token(r"[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,70}")),
    ("PULUMI_TOKEN", _token(r"pul-[a-f0-9]{40}")),
    ("DOPPLER_TOKEN", _token(r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{40,}")),
    ("SUPABASE_KEY", _token(r"(?:sbp_[a-f0-9]{40}|sb_secret_[\w-]{20,})")),
    ("PLANETSCALE_TOKEN", _token(r"pscale_(?:tkn|pw|oauth)_[\w=.-]{32,64}")),
    ("CLOUDFLARE_KEY", _token(r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}")),
    ("DYNATRACE_TOKEN", _token(r"dt0c01\.[A-Z0-9]{24}\.[A-Z0-9]{64}")),
    ("FACEBOOK_TOKEN", _token(r"EAA[A-Z][A-Za-z0-9]{60,}")),
    ("TWITTER_BEARER", _token(r"A{20,}[A-Za-z0-9%]{30,}")),
    ("AGE_KEY", _token(r"AGE-SECRET-KEY-1[A-Z0-9]{58}")),
    ("ONEPASSWORD_TOKEN", _token(r"ops_eyJ[A-Za-z0-9+/=_-]{100,}")),
    # formats
    ("JWT", _token(r"eyJ[\w-]{8,}={0,2}\.eyJ[\w-]{8,}={0,2}\.[\w-]*")),
    (
        "PRIVATE_KEY",
        r"-----BEGIN (?P<kind>[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----"
        r"(?:[A-Za-z0-9+/=\s:,.()\\-]{0,20000}?-----END (?P=kind)-----|[A-Za-z0-9+/=\s:,\\]{0,20000})",
    ),
    ("PUTTY_KEY", r"PuTTY-User-Key-File-\d:[\s\S]{0,20000}?Private-MAC: [a-f0-9]{40,64}"),
    (
        "URL_CREDENTIALS",
        r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{1,25}://\K[^\s:@/?#<>\"'`]{0,100}:[^\s@/<>\"'`]{1,200}(?=@)",
    ),
    (
        "AUTHORIZATION",
        r"(?i)(?<![a-z])(?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?(?:basic|bearer|token|apikey)\s+\K[\w.~+/=-]{8,}",
    ),
    ("AUTHORIZATION", r"(?<![A-Za-z])[Bb]earer\s+\K(?=[\w.~+/-]*\d)(?=[\w.~+/-]*[A-Za-z])[\w.~+/-]{20,}=*"),
    ("AUTHORIZATION", r"(?i)(?:^|\s)curl\s[^\n]{0,300}?\s(?:-u|--user)\s+[\"']?\K[^\s:\"']{1,80}:[^\s\"']{1,80}"),
    ("NETRC", r"(?i)(?<!\w)machine\s+\S{1,100}\s+login\s+\K\S{1,100}\s+password\s+\S{1,100}"),
)
"""Entity type and pattern of secrets that are told by their form alone."""
