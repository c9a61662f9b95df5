"""Drives the stand-in cloud with the vendor's unchanged Python SDK.

Needs the port of a running stand-in cloud with the keys below and a boot time under a second. Prints one line
per case, `case NAME ok` or `case NAME FAILED`, and ends with 1 if one failed. Only name resolution is replaced:
the SDK takes the service from the first label of the endpoint, so it must be told `as.localhost`.
"""

import base64
import contextlib
import socket
import sys
import threading
import time
import traceback

from tencentcloud.autoscaling.v20180419 import autoscaling_client, models as as_models
from tencentcloud.common import abstract_client, credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.cvm.v20170312 import cvm_client, models as cvm_models

PORT = int(sys.argv[1])
PERMANENT = credential.Credential("AKIDsdkpermanent", "sdk-permanent-key")
TEMPORARY = credential.Credential("AKIDsdktemporary", "sdk-temporary-key", "sdk/token+with==signs")
REGION = "ap-guangzhou"
# Against a hang; nothing here expects a duration.
PATIENCE_SECS = 60

resolve = socket.getaddrinfo


def resolve_localhost(host, *args, **kwargs):
    """Sends every name under localhost to the loopback address."""
    if host.endswith(".localhost"):
        host = "127.0.0.1"
    return resolve(host, *args, **kwargs)


socket.getaddrinfo = resolve_localhost


def client(service, key=PERMANENT, region=REGION, method="POST", unsigned=False):
    """A client of the service `as` or `cvm`, as its users make one."""
    endpoint = "%s.localhost:%d" % (service, PORT)
    http = HttpProfile(protocol="http", endpoint=endpoint, reqMethod=method, reqTimeout=30)
    profile = ClientProfile(httpProfile=http)
    profile.unsignedPayload = unsigned
    kind = {"as": autoscaling_client.AutoscalingClient, "cvm": cvm_client.CvmClient}[service]
    return kind(key, region, profile)


def create_request(domain):
    """The example of the API page, without what the page does not define."""
    request = as_models.CreatePaiInstanceRequest()
    request.DomainName = domain
    request.InitScript = base64.b64encode(b"#!/bin/bash\necho \"hello\"\n").decode()
    request.Zones = ["ap-guangzhou-2"]
    request.InstanceName = "支付-测试 π"
    request.InstanceTypes = ["S4.SMALL2", "S5.SMALL2"]
    request.InstanceChargeType = "POSTPAID_BY_HOUR"
    request.InternetAccessible = as_models.InternetAccessible()
    request.InternetAccessible.InternetChargeType = "TRAFFIC_POSTPAID_BY_HOUR"
    request.InternetAccessible.InternetMaxBandwidthOut = 10
    request.InternetAccessible.PublicIpAssigned = True
    request.LoginSettings = as_models.LoginSettings()
    request.LoginSettings.Password = "PAI@Test123"
    return request


def create(domain, **options):
    """Buys one machine and returns its id."""
    ids = client("as", **options).CreatePaiInstance(create_request(domain)).InstanceIdSet
    assert len(ids) == 1, ids
    return ids[0]


def describe(ids, **options):
    """The typed reply of DescribeInstances for these ids."""
    request = cvm_models.DescribeInstancesRequest()
    request.InstanceIds = ids
    return client("cvm", **options).DescribeInstances(request)


def state(instance):
    """InstanceState, None once the machine is no longer listed."""
    found = describe([instance]).InstanceSet
    return found[0].InstanceState if found else None


def wait_for(instance, wanted):
    """Polls until the machine is in the state."""
    deadline = time.monotonic() + PATIENCE_SECS
    while state(instance) != wanted:
        assert time.monotonic() < deadline, "%s never became %s" % (instance, wanted)
        time.sleep(0.1)


@contextlib.contextmanager
def refused(code, *texts):
    """Expects the SDK to raise this error, with these texts in its message."""
    try:
        yield
    except TencentCloudSDKException as error:
        assert error.get_code() == code, "expected %s, got %s" % (code, error)
        assert error.get_request_id(), "no request id: %s" % error
        for text in texts:
            assert text in error.get_message(), "%s is not in %s" % (text, error)
        return
    raise AssertionError("expected %s, got an answer" % code)


def typed_create():
    instance = create("typed.sdk.test")
    assert instance.startswith("ins-"), instance
    shown = describe([instance]).InstanceSet[0]
    assert shown.InstanceName == "支付-测试 π", shown.InstanceName
    assert shown.Placement.Zone == "ap-guangzhou-2", shown.Placement.Zone
    assert shown.InstanceType == "S4.SMALL2", shown.InstanceType
    assert shown.InternetAccessible.InternetMaxBandwidthOut == 10
    wait_for(instance, "RUNNING")
    shown = describe([instance]).InstanceSet[0]
    assert len(shown.PublicIpAddresses) == 1, shown.PublicIpAddresses
    assert shown.LatestOperationState == "SUCCESS", shown.LatestOperationState


def typed_describe_pai():
    instance = create("listed.sdk.test")
    request = as_models.DescribePaiInstancesRequest()
    request.Limit = 100
    reply = client("as").DescribePaiInstances(request)
    assert reply.TotalCount == len(reply.PaiInstanceSet), reply.TotalCount
    found = [item for item in reply.PaiInstanceSet if item.DomainName == "listed.sdk.test"]
    assert [item.InstanceId for item in found] == [instance]
    assert found[0].PaiMateUrl == "https://listed.sdk.test:5523", found[0].PaiMateUrl


def typed_preview():
    request = as_models.PreviewPaiDomainNameRequest()
    request.DomainNameType = "tcb"
    domain = client("as").PreviewPaiDomainName(request).DomainName
    assert domain.endswith(".pai.tcloudbase.com"), domain


def typed_describe_instances():
    instance = create("described.sdk.test")
    reply = describe([instance, "ins-00000000"])
    assert reply.TotalCount == 1 and reply.InstanceSet[0].InstanceId == instance
    request = cvm_models.DescribeInstancesRequest()
    name, zone = cvm_models.Filter(), cvm_models.Filter()
    name.Name, name.Values = "instance-name", ["支付-测试 π", "another"]
    zone.Name, zone.Values = "zone", ["ap-guangzhou-2"]
    request.Filters, request.Limit = [name, zone], 100
    found = client("cvm").DescribeInstances(request).InstanceSet
    assert instance in [item.InstanceId for item in found]


def typed_terminate():
    instance = create("terminated.sdk.test")
    wait_for(instance, "RUNNING")
    request = cvm_models.TerminateInstancesRequest()
    request.InstanceIds = [instance]
    assert client("cvm").TerminateInstances(request).RequestId
    wait_for(instance, None)
    with refused("InvalidInstanceId.NotFound"):
        client("cvm").TerminateInstances(request)


def signed_get():
    instance = create("get.sdk.test", method="GET")
    shown = describe([instance], method="GET").InstanceSet[0]
    assert shown.InstanceName == "支付-测试 π", shown.InstanceName
    assert shown.InternetAccessible.PublicIpAssigned is True
    request = cvm_models.DescribeInstancesRequest()
    name = cvm_models.Filter()
    name.Name, name.Values = "instance-name", ["支付-测试 π"]
    request.Filters, request.Limit = [name], 100
    found = client("cvm", method="GET").DescribeInstances(request).InstanceSet
    assert instance in [item.InstanceId for item in found]


def signed_post():
    instance = create("post.sdk.test", method="POST")
    assert describe([instance], method="POST").TotalCount == 1


def unsigned_payload():
    instance = create("unsigned.sdk.test", unsigned=True)
    assert describe([instance], unsigned=True).TotalCount == 1


def temporary_key():
    instance = create("temporary.sdk.test", key=TEMPORARY)
    assert describe([instance], key=TEMPORARY).TotalCount == 1
    # Another account does not see it.
    assert describe([instance]).TotalCount == 0


def wrong_token():
    for token in (None, "expired"):
        key = credential.Credential(TEMPORARY.secret_id, TEMPORARY.secret_key, token)
        with refused("AuthFailure.TokenFailure"):
            create("refused.sdk.test", key=key)


def wrong_key():
    with refused("AuthFailure.SignatureFailure"):
        create("refused.sdk.test", key=credential.Credential(PERMANENT.secret_id, "wrong"))
    with refused("AuthFailure.SecretIdNotFound"):
        create("refused.sdk.test", key=credential.Credential("AKIDnobody", "wrong"))


class SkewedTime:
    """The module `time` for the SDK, ten minutes off in one direction."""

    def __init__(self, offset):
        self.offset = offset

    def time(self):
        return time.time() + self.offset


def skewed_clock():
    for offset in (-600, 600):
        abstract_client.time = SkewedTime(offset)
        try:
            with refused("AuthFailure.SignatureExpire"):
                create("refused.sdk.test")
        finally:
            abstract_client.time = time


def unknown_region():
    with refused("UnsupportedRegion"):
        create("refused.sdk.test", region="guangzhou")


def missing_parameter():
    request = create_request("refused.sdk.test")
    request.InternetAccessible = None
    with refused("MissingParameter", "InternetAccessible"):
        client("as").CreatePaiInstance(request)


def unknown_parameter():
    request = {"DomainName": "refused.sdk.test", "InternetAccessible": {}, "ImageId": "img-1"}
    with refused("UnknownParameter", "ImageId"):
        client("as").call_json("CreatePaiInstance", request)
    nested = {"DomainName": "refused.sdk.test", "InternetAccessible": {"Speed": 1}}
    with refused("UnknownParameter", "InternetAccessible.Speed"):
        client("as").call_json("CreatePaiInstance", nested)


def page_beyond_the_end():
    create("paged.sdk.test")
    request = cvm_models.DescribeInstancesRequest()
    request.Offset = 100000
    reply = client("cvm").DescribeInstances(request)
    assert reply.InstanceSet == [] and reply.TotalCount >= 1, reply
    pai = as_models.DescribePaiInstancesRequest()
    pai.Offset = 100000
    reply = client("as").DescribePaiInstances(pai)
    assert reply.PaiInstanceSet == [] and reply.TotalCount >= 1, reply


def more_than_100_ids():
    ids = ["ins-%08d" % number for number in range(101)]
    assert describe(ids[:100]).TotalCount == 0
    with refused("InvalidParameterValue.LimitExceeded"):
        describe(ids)


def rate_limit():
    """Creates from several threads until one is refused. Which second held how many is judged by the test, from the
    cloud's own list: a slow machine needs more than one second."""
    deadline, refused_once, failures = time.monotonic() + PATIENCE_SECS, threading.Event(), []

    def buy(thread):
        number = 0
        while not refused_once.is_set() and not failures and time.monotonic() < deadline:
            try:
                create("burst-%d-%d.sdk.test" % (thread, number))
            except TencentCloudSDKException as error:
                if error.get_code() != "RequestLimitExceeded":
                    failures.append(error)
                refused_once.set()
            number += 1

    threads = [threading.Thread(target=buy, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert refused_once.is_set(), "this machine never made more calls in a second than are allowed"


CASES = [
    typed_create,
    typed_describe_pai,
    typed_preview,
    typed_describe_instances,
    typed_terminate,
    signed_get,
    signed_post,
    unsigned_payload,
    temporary_key,
    wrong_token,
    wrong_key,
    skewed_clock,
    unknown_region,
    missing_parameter,
    unknown_parameter,
    page_beyond_the_end,
    more_than_100_ids,
    rate_limit,
]


def main():
    failed = 0
    for case in CASES:
        try:
            case()
            print("case %s ok" % case.__name__, flush=True)
        except Exception:
            failed += 1
            traceback.print_exc()
            print("case %s FAILED" % case.__name__, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
