#pragma once

struct api_request;

/* The handlers that the route table names: handle answers or submits an op, on_answer answers with
 * what came back. One file per page. */

void collect_handle(struct api_request *request);
void collect_on_answer(struct api_request *request);

void conversion_handle_v1(struct api_request *request);  /* seed 002 */
void conversion_handle_api(struct api_request *request); /* seed 004 */
void conversion_on_answer(struct api_request *request);

void view_handle(struct api_request *request);
void ack_handle(struct api_request *request);
void impression_on_answer(struct api_request *request);

void feedback_handle(struct api_request *request); /* seed 000 */
void feedback_on_answer(struct api_request *request);

void ad_feedback_handle(struct api_request *request); /* seed 001 */
void ad_feedback_on_answer(struct api_request *request);

void vote_handle(struct api_request *request); /* seed 003 */
void results_handle(struct api_request *request);
void vote_on_answer(struct api_request *request);

void mint_handle(struct api_request *request);

void redirect_handle(struct api_request *request);
void redirect_on_answer(struct api_request *request);
void track_click_handle(struct api_request *request);
void track_click_on_answer(struct api_request *request);

void health_handle(struct api_request *request);
void root_handle(struct api_request *request);
