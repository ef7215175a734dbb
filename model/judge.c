/* SPDX-License-Identifier: MIT */
/*
 * The judge: the list of violations, and the checkpoint at which everything
 * that is remembered must agree with memory.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include "internal.h"

static const char *const rule_names[MODEL_RULES] = {
	[MODEL_V_WALK] = "walk",
	[MODEL_V_FREE] = "free",
	[MODEL_V_STALE] = "stale",
	[MODEL_V_ORDER] = "order",
	[MODEL_V_CHANGE] = "change",
	[MODEL_V_RESERVED] = "reserved",
	[MODEL_V_UNSUPPORTED] = "unsupported",
	[MODEL_V_COMMAND] = "command",
	[MODEL_V_ACCESS] = "access",
	[MODEL_V_QUEUE] = "queue",
	[MODEL_V_MIXED] = "mixed",
	[MODEL_V_INTERRUPT] = "interrupt",
	[MODEL_V_ADDRESS] = "address",
	[MODEL_V_ATS] = "ats",
	[MODEL_V_WAIT] = "wait",
	[MODEL_V_FAULT] = "fault",
	[MODEL_V_OPEN] = "open",
	[MODEL_V_NEEDED] = "needed",
};

const char *model_rule_name(enum model_rule rule)
{
	return rule > 0 && rule < MODEL_RULES ? rule_names[rule] : "?";
}

static struct offence *offence_of(
	struct model *m, unsigned unit, enum model_rule rule, const char *text)
{
	for (size_t i = 0; i < m->offences; i++)
		if (m->offence[i].v.unit == unit &&
			m->offence[i].v.rule == rule &&
			strcmp(m->offence[i].text, text) == 0)
			return &m->offence[i];
	return NULL;
}

void blame(struct model *m, struct unit *u, enum model_rule rule,
	const char *section, const char *format, ...)
{
	unsigned unit = u ? u->index : 0;
	struct offence *o;
	char text[sizeof o->text];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	o = offence_of(m, unit, rule, text);
	if (o) {
		o->v.count++;
		return;
	}
	if (m->offences >= 1000)
		return;
	m->offence = room_for_one(
		m->offence, m->offences, &m->offence_room, sizeof *o);
	o = &m->offence[m->offences++];
	*o = (struct offence){.v = {.rule = rule,
				      .unit = unit,
				      .section = section,
				      .count = 1}};
	memcpy(o->text, text, sizeof text);
	backtrace(o->stack, STACK_DEPTH);
	if (m->abort_on_violation) {
		model_report(m, stderr);
		abort();
	}
}

void judge_exit(struct model *m)
{
	free(m->offence);
}

size_t model_violation_count(struct model *m)
{
	return m->offences;
}

size_t model_violations_of(struct model *m, enum model_rule rule)
{
	size_t n = 0;

	enter(m);
	for (size_t i = 0; i < m->offences; i++)
		n += m->offence[i].v.rule == rule;
	leave(m);
	return n;
}

const struct model_violation *model_violation(struct model *m, size_t i)
{
	struct offence *o = i < m->offences ? &m->offence[i] : NULL;

	if (!o)
		return NULL;
	o->v.text = o->text;
	return &o->v;
}

void model_violations_clear(struct model *m)
{
	enter(m);
	m->offences = 0;
	leave(m);
}

void model_abort_on_violation(struct model *m, bool on)
{
	m->abort_on_violation = on;
}

/* Function, file and line of each frame of the program, by addr2line. False:
 * there are none. */
static bool print_frames(struct offence *o, FILE *out)
{
	char command[100 + STACK_DEPTH * 20], line[400];
	char *end = stpcpy(command,
		"addr2line -spfe /proc/$PPID/exe 2>/dev/null </dev/null");
	bool any = false;
	FILE *pipe;
	Dl_info program = {0}, info;

	dladdr((void *)getauxval(AT_ENTRY), &program);
	for (void **at = o->stack; *at; at++)
		if (dladdr(*at, &info) && info.dli_fbase == program.dli_fbase)
			/* Of the call, not of what follows it. */
			end += sprintf(end, " %#tx",
				(char *)*at - 1 - (char *)info.dli_fbase);
	pipe = popen(command, "r");
	if (!pipe)
		return false;
	while (fgets(line, sizeof line, pipe))
		any = fprintf(out, "\t%s", line);
	pclose(pipe);
	return any;
}

/* The same in figures, for whoever has addr2line elsewhere. */
static void print_places(struct offence *o, FILE *out)
{
	Dl_info info;

	for (void **at = o->stack; *at; at++)
		if (dladdr(*at, &info))
			fprintf(out, "\t%s+%#tx\n", info.dli_fname,
				(char *)*at - 1 - (char *)info.dli_fbase);
}

void model_report(struct model *m, FILE *out)
{
	enter(m);
	for (size_t i = 0; i < m->offences; i++) {
		struct offence *o = &m->offence[i];

		fprintf(out, "unit %u: %s: %s (VT-d %s)", o->v.unit,
			model_rule_name(o->v.rule), o->text, o->v.section);
		if (o->v.count > 1)
			fprintf(out, ", %u times", o->v.count);
		fputc('\n', out);
		if (i < 8 && !print_frames(o, out))
			print_places(o, out);
	}
	for (unsigned i = 0; m->offences && i < m->units; i++)
		fprintf(out,
			"unit %u is %s: version %#llx, CAP %#llx, ECAP %#llx\n",
			i, m->unit[i].name,
			(unsigned long long)m->unit[i].r[R_VER],
			(unsigned long long)m->unit[i].r[R_CAP],
			(unsigned long long)m->unit[i].r[R_ECAP]);
	if (m->offences)
		fprintf(out, "mode %d, seed %#llx\n", m->mode,
			(unsigned long long)m->seed);
	leave(m);
}

/* ---- checkpoint --------------------------------------------------------- */

static unsigned check_contexts(struct unit *u)
{
	unsigned found = 0;
	struct croot *root;
	struct cctx *c;

	for (unsigned bus = 0; (root = root_from(u, &bus)); bus++) {
		if (!root_is_stale(u, root))
			continue;
		found++;
		blame(u->m, u, MODEL_V_STALE, "6.5.3.3",
			"root entry of bus %02x changed, no global context "
			"flush",
			bus);
	}
	for (unsigned sid = 0; (c = context_from(u, &sid)); sid++) {
		if (!context_is_stale(u, c))
			continue;
		found++;
		blame(u->m, u, MODEL_V_STALE, "6.5.3.3",
			"context entry of %02x:%02x.%x changed, no context "
			"flush under domain %u",
			sid >> 8, sid >> 3 & 31, sid & 7, c->tag);
	}
	return found;
}

static unsigned check_owing(struct unit *u)
{
	unsigned found = 0;

	for (unsigned did = 0; found < u->owing; did++) {
		struct did_use *use = &u->did_use[did];

		if (!use->owes_iotlb)
			continue;
		found++;
		blame(u->m, u, use->early ? MODEL_V_ORDER : MODEL_V_STALE,
			"6.5.3.3",
			"a context entry of domain %u changed, no IOTLB flush "
			"of the domain after its context flush",
			did);
	}
	return found;
}

static unsigned check_tlb(struct unit *u)
{
	static const char *const kinds[] = {
		"?", "translation", "table pointer", "failure"};
	unsigned found = 0;
	struct centry *e;

	for (uint32_t i = 0; (e = cache_from(u, &i)); i++) {
		if (!centry_is_stale(u, e))
			continue;
		found++;
		blame(u->m, u, MODEL_V_STALE, "6.5.3.3",
			"%s of domain %u, iova %#llx, level %u changed, no "
			"IOTLB flush",
			kinds[e->kind & 3], e->did, (unsigned long long)e->iova,
			e->level);
	}
	return found;
}

static unsigned check_irtes(struct unit *u)
{
	unsigned found = 0;

	for (unsigned i = 0; i < u->cirte_end; i++) {
		if (!u->cirte[i].valid || !cirte_is_stale(u, &u->cirte[i]))
			continue;
		found++;
		blame(u->m, u, MODEL_V_STALE, "6.5.3.3",
			"interrupt entry %u changed, no interrupt-entry flush",
			i);
	}
	return found;
}

static unsigned check_device_tlbs(struct model *m)
{
	unsigned found = 0;

	for (unsigned i = 0; i < m->functions; i++) {
		struct function *f = &m->function[i];
		struct unit *u = unit_for(m, f->d.segment, f->d.bdf);

		for (unsigned k = 0; u && k < f->dtlb_count; k++) {
			struct dtlb_entry *e = &f->dtlb[k];

			if (!dtlb_entry_is_stale(u, e))
				continue;
			found++;
			blame(m, u,
				e->refetched ? MODEL_V_ORDER : MODEL_V_STALE,
				"6.5.2.5",
				"device %04x keeps iova %#llx, no device-TLB "
				"flush%s",
				f->d.bdf, (unsigned long long)e->iova,
				e->refetched ? " after that of the IOTLB" : "");
		}
	}
	return found;
}

/* At rest no device asks for translations that its entry does not allow. */
static unsigned check_ats_left(struct unit *u)
{
	struct model *m = u->m;
	unsigned found = 0;

	for (unsigned i = 0; i < m->functions; i++) {
		struct function *f = &m->function[i];
		uint16_t sid = requester_of(m, f->d.segment, f->d.bdf);
		uint64_t at;

		if (f->removed || !dtlb_is_on(f) ||
			unit_for(m, f->d.segment, f->d.bdf) != u)
			continue;
		at = context_at(u, sid);
		if (at != MODEL_NONE && CE_TT(ram_read64(m, at)) == TT_ATS)
			continue;
		found++;
		blame(m, u, MODEL_V_ATS, "4.1",
			"device TLB of %04x is on, its context entry does not "
			"allow it",
			f->d.bdf);
	}
	return found;
}

unsigned check_caches(struct model *m)
{
	unsigned found = check_device_tlbs(m);

	for (unsigned i = 0; i < m->units; i++) {
		struct unit *u = &m->unit[i];

		if (u->gone)
			continue;
		if (u->r[R_GSTS] & G_TE)
			found += check_contexts(u) + check_owing(u) +
				check_tlb(u) + check_ats_left(u);
		if (u->r[R_GSTS] & G_IRE)
			found += check_irtes(u);
		if (u->r[R_GSTS] & (G_TE | G_IRE))
			found += view_check(u);
	}
	return found;
}

/* Whoever was there before may have let them through (VT-d 5.1.4). */
static unsigned check_old_format(struct unit *u)
{
	uint64_t gsts = u->r[R_GSTS];

	if (!(gsts & G_IRE) || !(gsts & G_CFI) || u->eime)
		return 0;
	blame(u->m, u, MODEL_V_INTERRUPT, "5.1.4",
		"compatibility-format interrupts are let through");
	return 1;
}

unsigned model_checkpoint(struct model *m)
{
	unsigned found;

	enter(m);
	found = check_caches(m);
	for (unsigned i = 0; i < m->units; i++) {
		struct unit *u = &m->unit[i];

		if (u->gone || u->hung)
			continue;
		if (u->r[R_GSTS] & G_TE)
			flush_owed_check(u, "at rest");
		if (u->fetched_count && !u->wait_pending) {
			found++;
			blame(m, u, MODEL_V_ORDER, "6.5.2.8",
				"flushes queued without a wait behind them");
		}
		if (command_pending(u)) {
			found++;
			blame(m, u, MODEL_V_COMMAND, "11.4.4",
				"a command is still in flight");
		}
		found += check_old_format(u);
	}
	leave(m);
	return found;
}
