"""A rule for detect-secrets: the id of a Tencent Cloud key, beside which its secret half is seldom far."""

import re

from detect_secrets.plugins.base import RegexBasedDetector


class TencentCloudSecretIdDetector(RegexBasedDetector):
    """Finds ids of the form that the cloud gives out: AKID and 32 letters and digits."""

    secret_type = "Tencent Cloud secret id"
    denylist = (re.compile(r"AKID[0-9A-Za-z]{32}(?![0-9A-Za-z])"),)
