/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "proto.h"

static const uint8_t magic[4] = { 'z', 'c', 's', '1' };

/* What a head of each type may hold. Sizes are file offsets: the kernel's are signed. */
static const struct rule {
	uint64_t length_min, length_max;
	uint64_t value_max;
	uint16_t code_min, code_max;
} rules[PROTO_NR_TYPES] = {
	[PROTO_FILE] = { 1, PROTO_NAME, INT64_MAX, 0, 0 },
	[PROTO_CHUNK_DATA] = { 1, PROTO_CHUNK, 0, 0, 0 },
	[PROTO_KEEP] = { 0, 0, 0, 0, 0 },
	[PROTO_END] = { PROTO_HASH, PROTO_HASH, INT64_MAX, 0, 0 },
	[PROTO_GIVEUP] = { 0, 0, 0, 1, PROTO_NR_CODES - 1 },
	[PROTO_DONE] = { 0, 0, INT64_MAX, 0, 0 },
	[PROTO_ACCEPT] = { 0, 0, 0, 0, 0 },
	[PROTO_BUSY] = { 0, 0, 0, 0, 0 },
	[PROTO_VERDICT] = { 0, 0, 0, 0, PROTO_NR_CODES - 1 },
};

static const char *const texts[PROTO_NR_CODES] = {
	[PROTO_OK] = "done",
	[PROTO_BAD_NAME] = "the name is not a plain file name",
	[PROTO_EXISTS] = "a file of that name exists",
	[PROTO_NOT_A_FILE] = "something of that name exists that is not a regular file",
	[PROTO_ONE_ONLY] = "one file only was asked for",
	[PROTO_NO_SPACE] = "no space is left for it",
	[PROTO_DENIED] = "permission was denied",
	[PROTO_IO] = "reading or writing the file failed",
	[PROTO_CHECKSUM] = "the checksum is wrong",
	[PROTO_SHRANK] = "the file shrank while it was sent",
	[PROTO_GREW] = "the file grew while it was sent",
	[PROTO_CHANGED] = "the file changed while it was sent",
	[PROTO_STOPPED] = "it was stopped",
	[PROTO_TOO_SLOW] = "nothing moved for too long",
	[PROTO_MISUSE] = "the other side does not keep to the protocol",
};

static void put_le(uint8_t *out, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(const uint8_t *in, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value |= (uint64_t)in[i] << (8 * i);
	return value;
}

void proto_put(const struct proto_frame *frame, uint8_t head_out[PROTO_HEAD])
{
	memcpy(head_out, magic, sizeof(magic));
	put_le(head_out + 4, frame->type, 2);
	put_le(head_out + 6, frame->code, 2);
	put_le(head_out + 8, frame->length, 8);
	put_le(head_out + 16, frame->value, 8);
}

int proto_get(const uint8_t head[PROTO_HEAD], unsigned allowed, struct proto_frame *frame_out)
{
	struct proto_frame frame = {
		.type = (uint16_t)get_le(head + 4, 2),
		.code = (uint16_t)get_le(head + 6, 2),
		.length = get_le(head + 8, 8),
		.value = get_le(head + 16, 8),
	};
	const struct rule *rule;

	if (memcmp(head, magic, sizeof(magic)) != 0)
		return -EBADMSG;
	if (frame.type == 0 || frame.type >= PROTO_NR_TYPES || !(allowed & PROTO_BIT(frame.type)))
		return -EPROTO;
	rule = &rules[frame.type];
	if (frame.code < rule->code_min || frame.code > rule->code_max)
		return -EPROTO;
	if (frame.length < rule->length_min || frame.length > rule->length_max)
		return -EMSGSIZE;
	if (frame.value > rule->value_max &&
	    !(frame.type == PROTO_FILE && frame.value == PROTO_UNKNOWN))
		return -EMSGSIZE;
	*frame_out = frame;
	return 0;
}

int proto_name_check(const char *name, size_t len)
{
	if (len == 0 || len > PROTO_NAME)
		return -EINVAL;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		/* Control characters would reach terminals and scripts through a listing. */
		if (c == '/' || c < 0x20 || c == 0x7f)
			return -EINVAL;
	}
	return 0;
}

const char *proto_code_text(unsigned code)
{
	return code < PROTO_NR_CODES ? texts[code] : "a reason that this version does not know";
}

enum proto_code proto_code_of(int err)
{
	switch (err) {
	case 0:
		return PROTO_OK;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return PROTO_NO_SPACE;
	case EEXIST:
		return PROTO_EXISTS;
	case EISDIR:
	case ENOTDIR:
	case ELOOP:
	case EXDEV:
		return PROTO_NOT_A_FILE;
	case EACCES:
	case EPERM:
	case EROFS:
		return PROTO_DENIED;
	case EINVAL:
	case ENAMETOOLONG:
		return PROTO_BAD_NAME;
	case EINTR:
		return PROTO_STOPPED;
	case ETIMEDOUT:
		return PROTO_TOO_SLOW;
	case EBADMSG:
	case EPROTO:
	case EMSGSIZE:
		return PROTO_MISUSE;
	default:
		return PROTO_IO;
	}
}
